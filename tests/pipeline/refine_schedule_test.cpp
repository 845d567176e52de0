#include "pipeline/refine_schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace hqtrack {
namespace {

TrackedFrame frame_of(int64_t index, std::vector<int64_t> ids) {
  TrackedFrame tracked;
  tracked.frame.index = index;
  for (const int64_t id : ids) {
    tracked.objects.emplace_back().id = id;
    tracked.objects.back().state = ObjectState::kTracked;
  }
  return tracked;
}

RefinerConfig config_of(int64_t every_frames, bool is_adaptive = false) {
  RefinerConfig config;
  config.every_frames = every_frames;
  config.is_adaptive = is_adaptive;
  return config;
}

/// Frames in which object 1 is refined, when each refinement leaves this IoU.
std::vector<int64_t> refined_frames(const RefinerConfig& config, int64_t frames, Choice choice, double iou) {
  RefineSchedule schedule(config);
  std::vector<int64_t> refined;
  for (int64_t i = 0; i < frames; ++i) {
    if (!schedule.due_objects(frame_of(i, {1}))[1]) continue;
    refined.push_back(i);
    schedule.report(i, 1, choice, iou);
  }
  return refined;
}

using Frames = std::vector<int64_t>;

TEST(RefineSchedule, AlwaysEveryAndOff) {
  EXPECT_EQ(refined_frames(config_of(0), 5, Choice::kRefined, 0.5), Frames());
  EXPECT_EQ(refined_frames(config_of(1), 4, Choice::kRefined, 1.0), (Frames{0, 1, 2, 3}));
  EXPECT_EQ(refined_frames(config_of(3), 8, Choice::kRefined, 1.0), (Frames{0, 3, 6}));
}

TEST(RefineSchedule, AdaptiveWaitsLongerWhereItDoesNotPay) {
  RefinerConfig config = config_of(1, true);
  config.pays_below_iou = 0.9;
  config.longest_wait_frames = 8;
  EXPECT_EQ(refined_frames(config, 5, Choice::kRefined, 0.8), (Frames{0, 1, 2, 3, 4}));
  EXPECT_EQ(refined_frames(config, 40, Choice::kRefined, 0.9), (Frames{0, 1, 3, 7, 15, 23, 31, 39}));
  EXPECT_EQ(refined_frames(config, 10, Choice::kKept, 0.0), (Frames{0, 1, 3, 7}));  // not taken: no use
}

TEST(RefineSchedule, AdaptiveComesBackAtOnceWhereItPays) {
  RefineSchedule schedule(config_of(1, true));
  for (const int64_t i : {0, 1, 3}) schedule.report(i, 1, Choice::kRefined, 0.99);
  EXPECT_FALSE(schedule.due_objects(frame_of(6, {1}))[1]);
  EXPECT_TRUE(schedule.due_objects(frame_of(7, {1}))[1]);
  schedule.report(7, 1, Choice::kRefined, 0.5);
  EXPECT_TRUE(schedule.due_objects(frame_of(8, {1}))[1]);
}

TEST(RefineSchedule, AnotherVideoBeginsAnew) {
  RefineSchedule schedule(config_of(1, true));
  schedule.due_objects(frame_of(100, {1}));
  schedule.report(100, 1, Choice::kKept, 0.0);
  EXPECT_TRUE(schedule.due_objects(frame_of(0, {1}))[1]);
}

TEST(RefineSchedule, OneDueObjectMakesAllDueWhereFramesAreEncodedWhole) {
  RefinerConfig config = config_of(1, true);
  for (const char* mode : {"frame", "crop"}) {
    config.mode = mode;
    RefineSchedule schedule(config);
    schedule.report(0, 1, Choice::kKept, 0.0);
    schedule.report(1, 1, Choice::kKept, 0.0);
    const auto is_due = schedule.due_objects(frame_of(2, {1, 2}));
    EXPECT_EQ(is_due[1], config.mode == "frame");
    EXPECT_TRUE(is_due[2]);
  }
}

TEST(RefineSchedule, LeavesLostAndGivenObjectsOut) {
  RefineSchedule schedule(config_of(1));
  TrackedFrame tracked = frame_of(0, {1, 2, 3});
  tracked.objects[0].state = ObjectState::kLost;
  tracked.objects[1].choice = Choice::kSkipped;
  const auto is_due = schedule.due_objects(tracked);
  EXPECT_FALSE(is_due[1]);
  EXPECT_FALSE(is_due[2]);
  EXPECT_TRUE(is_due[3]);
}

}  // namespace
}  // namespace hqtrack
