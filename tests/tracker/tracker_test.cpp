#include "tracker/tracker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/label_mask.h"
#include "core/profile.h"
#include "tests/support/golden.h"
#include "tests/tracker/tiny_model.h"

namespace hqtrack {
namespace {

using testing::disc_labels;
using testing::moving_discs;
using testing::tiny_config;
using testing::tiny_network;

std::vector<at::Tensor> track_discs(const TrackerConfig& config, const at::Tensor& labels, int64_t frames) {
  Tracker tracker(tiny_network(config), config);
  tracker.start(moving_discs(0), labels);
  std::vector<at::Tensor> masks;
  for (int64_t t = 1; t < frames; ++t) masks.push_back(tracker.track(moving_discs(t)).label_mask);
  return masks;
}

TEST(Tracker, GapsInIdsChangeNothingButTheIds) {
  const auto dense = track_discs(tiny_config(), disc_labels(1, 2), 8);
  const auto gaps = track_discs(tiny_config(), disc_labels(40, 200), 8);
  for (size_t t = 0; t < dense.size(); ++t) {
    at::Tensor expected = dense[t].clone();
    expected.masked_fill_(dense[t] == 1, 40);
    expected.masked_fill_(dense[t] == 2, 200);
    EXPECT_TRUE(at::equal(gaps[t], expected)) << "frame " << t + 1;
  }
}

TEST(Tracker, ReferenceCompatibilityUsesIdsAsSlots) {
  TrackerConfig config = tiny_config();
  config.compatibility = "reference";
  Tracker tracker(tiny_network(config), config);
  tracker.start(moving_discs(0), disc_labels(1, 3));
  const auto scores = tracker.track(moving_discs(1)).scores;
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[1].id, 3);
  // The slot in the gap is a phantom: with these weights it wins pixels over the frames.
  const auto reference = track_discs(config, disc_labels(1, 3), 8),
             right = track_discs(tiny_config(), disc_labels(1, 3), 8);
  bool has_phantom = false, right_has_phantom = false;
  for (size_t t = 0; t < reference.size(); ++t) {
    has_phantom |= (reference[t] == 2).any().item<bool>();
    right_has_phantom |= (right[t] == 2).any().item<bool>();
  }
  EXPECT_TRUE(has_phantom);
  EXPECT_FALSE(right_has_phantom);
}

TEST(Tracker, TheSameVideoTwiceGivesTheSameMasks) {
  const auto first = track_discs(tiny_config(), disc_labels(1, 2), 10);
  const auto second = track_discs(tiny_config(), disc_labels(1, 2), 10);
  for (size_t t = 0; t < first.size(); ++t) EXPECT_TRUE(at::equal(first[t], second[t])) << "frame " << t + 1;
}

TEST(Tracker, StartForgetsEverything) {
  Tracker tracker(tiny_network(), tiny_config());
  tracker.start(moving_discs(0), disc_labels(5, 9));
  for (int t = 1; t < 6; ++t) tracker.track(moving_discs(t));
  tracker.start(moving_discs(0), disc_labels(1, 2));
  EXPECT_EQ(tracker.object_ids(), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(at::equal(tracker.track(moving_discs(1)).label_mask,
                        track_discs(tiny_config(), disc_labels(1, 2), 2)[0]));
}

TEST(Tracker, AddsObjectsBeyondOneEngine) {
  Tracker tracker(tiny_network(), tiny_config());  // 3 objects an engine
  tracker.start(moving_discs(0), disc_labels(1, 2));
  at::Tensor added = at::zeros({60, 80}, at::kByte);
  for (int64_t i = 0; i < 4; ++i) added.narrow(0, 5, 8).narrow(1, 10 * i, 8).fill_(10 + i);
  const at::Tensor tracked = tracker.track(moving_discs(1)).label_mask;
  tracker.correct(moving_discs(1), at::where(added > 0, added, tracked));
  EXPECT_EQ(tracker.object_ids(), (std::vector<int64_t>{1, 2, 10, 11, 12, 13}));
  EXPECT_EQ(tracker.track(moving_discs(2)).scores.size(), 6u);
}

TEST(Tracker, RunsWithoutAnyObject) {
  Tracker tracker(tiny_network(), tiny_config());
  tracker.start(moving_discs(0), at::zeros({60, 80}, at::kByte));
  const TrackerResult result = tracker.track(moving_discs(1));
  EXPECT_EQ(result.label_mask.max().item<int64_t>(), 0);
  EXPECT_TRUE(result.scores.empty());
}

TEST(Tracker, ACorrectionReplacesWhatTheFrameLeftInMemory) {
  TrackerConfig config = tiny_config();
  config.memory.interval_frames = 2;  // frame 2 is written before it is corrected
  Tracker corrected(tiny_network(config), config), repeated(tiny_network(config), config);
  for (Tracker* tracker : {&corrected, &repeated}) {
    tracker->start(moving_discs(0), disc_labels(1, 2));
    for (int t = 1; t <= 2; ++t) tracker->track(moving_discs(t));
  }
  repeated.correct(moving_discs(2), disc_labels(2, 1));  // wrong, and taken back
  for (Tracker* tracker : {&corrected, &repeated}) tracker->correct(moving_discs(2), disc_labels(1, 2));
  for (int t = 3; t < 8; ++t) {
    EXPECT_TRUE(
        at::equal(corrected.track(moving_discs(t)).label_mask, repeated.track(moving_discs(t)).label_mask))
        << "frame " << t;
  }
}

TEST(Tracker, RemovedObjectsLeaveTheMask) {
  Tracker tracker(tiny_network(), tiny_config());
  tracker.start(moving_discs(0), disc_labels(5, 9));
  tracker.remove(5);
  tracker.remove(77);  // unknown
  EXPECT_EQ(tracker.object_ids(), std::vector<int64_t>{9});
  const TrackerResult result = tracker.track(moving_discs(1));
  ASSERT_EQ(result.scores.size(), 1u);
  EXPECT_EQ(result.scores[0].id, 9);
  EXPECT_FALSE((result.label_mask == 5).any().item<bool>());
  tracker.remove(9);
  EXPECT_FALSE(tracker.track(moving_discs(2)).label_mask.any().item<bool>());
}

TEST(Tracker, AfterTheLastObjectWasRemovedTheNextOneBeginsAnew) {
  Tracker tracker(tiny_network(), tiny_config()), fresh(tiny_network(), tiny_config());
  tracker.start(moving_discs(0), disc_labels(5, 9));
  tracker.track(moving_discs(1));
  tracker.remove(5);
  tracker.remove(9);
  tracker.track(moving_discs(2));
  tracker.correct(moving_discs(2), disc_labels(1, 2));
  fresh.start(moving_discs(2), disc_labels(1, 2));
  for (int t = 3; t < 6; ++t) {
    EXPECT_TRUE(
        at::equal(tracker.track(moving_discs(t)).label_mask, fresh.track(moving_discs(t)).label_mask));
  }
}

TEST(Tracker, ComingAndGoingObjectsNeedNoFurtherEngines) {
  Tracker tracker(tiny_network(), tiny_config());  // 3 objects an engine
  tracker.start(moving_discs(0), disc_labels(1, 2));
  for (int64_t t = 1; t < 12; ++t) {
    const at::Tensor tracked = tracker.track(moving_discs(t)).label_mask;
    const int64_t newest = t + 2;
    tracker.remove(newest - 2);
    at::Tensor labels = tracked.masked_fill(tracked.eq(newest - 2), 0);
    labels.narrow(0, 5, 8).narrow(1, 5, 8).fill_(newest);
    tracker.correct(moving_discs(t), labels);
    EXPECT_EQ(tracker.object_ids(), (std::vector<int64_t>{newest - 1, newest}));
    EXPECT_EQ(tracker.num_engines(), 1) << "after " << t;
  }
}

TEST(Tracker, AnObjectOutOfSightIsNotForgottenForOthers) {
  Tracker tracker(tiny_network(), tiny_config());  // 3 objects an engine
  tracker.start(moving_discs(0), disc_labels(1, 2));
  tracker.track(moving_discs(1));
  tracker.remove(2);
  tracker.correct(moving_discs(1), disc_labels(5, 6));  // 1 has no pixel here
  EXPECT_EQ(tracker.object_ids(), (std::vector<int64_t>{1, 5, 6}));
  EXPECT_EQ(tracker.num_engines(), 2);
}

TEST(Tracker, AnEngineWithoutObjectsIsDropped) {
  Tracker tracker(tiny_network(), tiny_config());  // 3 objects an engine
  at::Tensor labels = disc_labels(1, 2);
  for (int64_t i = 0; i < 5; ++i) labels.narrow(0, 5, 8).narrow(1, 10 * i, 8).fill_(10 + i);
  tracker.start(moving_discs(0), labels);
  EXPECT_EQ(tracker.num_engines(), 3);  // of 1 2 10, 11 12 13 and 14
  tracker.track(moving_discs(1));
  for (const int64_t id : {11, 13, 12}) tracker.remove(id);
  EXPECT_EQ(tracker.num_engines(), 2);
  const TrackerResult result = tracker.track(moving_discs(2));
  std::vector<int64_t> ids;
  for (const ObjectScore& score : result.scores) ids.push_back(score.id);
  EXPECT_EQ(ids, (std::vector<int64_t>{1, 2, 10, 14}));
  for (const int64_t id : label_ids(result.label_mask)) EXPECT_TRUE(std::ranges::count(ids, id)) << id;
  // The slots behind 14 are free again.
  labels = result.label_mask.clone();
  for (int64_t i = 0; i < 2; ++i) labels.narrow(0, 5, 8).narrow(1, 10 * i, 8).fill_(20 + i);
  tracker.correct(moving_discs(2), labels);
  EXPECT_EQ(tracker.num_engines(), 2);
  EXPECT_EQ(tracker.object_ids(), (std::vector<int64_t>{1, 2, 10, 14, 20, 21}));
  for (const int64_t id : {1, 2, 10, 14, 20}) tracker.remove(id);
  EXPECT_EQ(tracker.num_engines(), 1);
  EXPECT_EQ(tracker.track(moving_discs(3)).scores.size(), 1U);
}

TEST(Tracker, GoesOnFromASavedState) {
  for (const auto& [has_removed, mode] :
       {std::pair(false, "frame"), std::pair(true, "frame"), std::pair(false, "objects")}) {
    TrackerConfig config = tiny_config();
    config.search_region.mode = mode;
    Tracker first(tiny_network(), config), second(tiny_network(), config);
    first.start(moving_discs(0), disc_labels(40, 200));
    for (int t = 1; t < 7; ++t) first.track(moving_discs(t));
    if (has_removed) first.remove(40);
    const std::string file = ::testing::TempDir() + "hqtrack_tracker_state.safetensors";
    StateWriter writer;
    first.save(writer);
    writer.write(file);
    second.restore(StateReader(file));
    EXPECT_EQ(second.object_ids(), first.object_ids());
    for (int t = 7; t < 14; ++t) {
      const TrackerResult expected = first.track(moving_discs(t)), found = second.track(moving_discs(t));
      EXPECT_TRUE(at::equal(found.label_mask, expected.label_mask)) << "frame " << t;
      ASSERT_EQ(found.scores.size(), expected.scores.size());
      EXPECT_EQ(found.scores[0].score, expected.scores[0].score);
    }
    std::remove(file.c_str());
  }
}

// Small objects in a quarter of the frame, which the search region of `objects_config` then is.
constexpr Box kQuarter{10, 5, 50, 35};

TrackerConfig objects_config() {
  TrackerConfig config = tiny_config();
  config.search_region = {.mode = "objects", .margin = 0, .frame_margin = 0, .smallest = 0.5};
  return config;
}

at::Tensor small_objects() {
  at::Tensor labels = at::zeros({60, 80}, at::kByte);
  labels.narrow(0, 15, 10).narrow(1, 20, 12).fill_(4);
  labels.narrow(0, 18, 7).narrow(1, 34, 6).fill_(9);
  return labels;
}

at::Tensor quarter_of(const at::Tensor& picture) {
  return picture.narrow(0, kQuarter.y0, kQuarter.y1 - kQuarter.y0)
      .narrow(1, kQuarter.x0, kQuarter.x1 - kQuarter.x0)
      .contiguous();
}

TEST(Tracker, ASearchRegionIsAVideoOfItsOwn) {
  TrackerConfig whole = tiny_config(), objects = objects_config();
  // Without room for the view of the whole frame.
  for (TrackerConfig* config : {&whole, &objects}) config->memory = {100, 1, 1, 1};
  Tracker cropped(tiny_network(whole), whole), searching(tiny_network(objects), objects);
  cropped.start(quarter_of(moving_discs(0)), quarter_of(small_objects()));
  searching.start(moving_discs(0), small_objects());
  for (int t = 1; t <= 2; ++t) {  // the first frame decides about these
    const TrackerResult expected = cropped.track(quarter_of(moving_discs(t))),
                        found = searching.track(moving_discs(t));
    EXPECT_TRUE(expected.label_mask.any().item<bool>());
    EXPECT_TRUE(at::equal(quarter_of(found.label_mask), expected.label_mask)) << "frame " << t;
    EXPECT_EQ(found.label_mask.count_nonzero().item<int64_t>(),
              expected.label_mask.count_nonzero().item<int64_t>());
    ASSERT_EQ(found.scores.size(), expected.scores.size());
    EXPECT_EQ(found.scores[1].score, expected.scores[1].score);
  }
}

TEST(Tracker, TheViewOfTheWholeFrameStaysInMemory) {
  const auto masks_with = [](int64_t long_term_frames) {
    TrackerConfig config = objects_config();
    config.memory.long_term_frames = config.memory.long_term_frames_8x = long_term_frames;
    return track_discs(config, small_objects(), 2)[0];
  };
  EXPECT_FALSE(at::equal(masks_with(1), masks_with(2)));
  EXPECT_TRUE(at::equal(masks_with(2), masks_with(3)));
}

TEST(Tracker, WhatIsEncodedAheadIsWhatIsAskedFor) {
  const auto encoder_flops = [](bool is_ahead, std::vector<at::Tensor>& masks) {
    const TrackerConfig config = objects_config();
    Tracker tracker(tiny_network(config), config);
    Profile profile(c10::kCPU);
    tracker.start(moving_discs(0), small_objects());
    profile.take();
    at::Tensor coming = moving_discs(1);
    std::optional<Encoded> encoded;
    if (is_ahead) encoded = tracker.encode(coming);
    for (int t = 1; t < 9; ++t) {
      const at::Tensor image = std::exchange(coming, moving_discs(t + 1));
      const std::optional<Encoded> own = encoded;
      // The next frame is encoded while this one is tracked: as well at the beginning as at the end of that.
      if (is_ahead && t % 2 == 0) encoded = tracker.encode(coming);
      masks.push_back(tracker.track(image, own ? &*own : nullptr).label_mask);
      if (is_ahead && t % 2 == 1) encoded = tracker.encode(coming);
    }
    return profile.take()[static_cast<size_t>(Stage::kEncoder)].flops;
  };
  std::vector<at::Tensor> plain, ahead;
  const double needed = encoder_flops(false, plain);
  EXPECT_EQ(encoder_flops(true, ahead), needed / 8 * 9);  // the last one is not tracked
  for (size_t t = 0; t < plain.size(); ++t) EXPECT_TRUE(at::equal(plain[t], ahead[t])) << "frame " << t + 1;
}

TEST(Tracker, ObjectsAddedOutsideTheSearchRegionAreFollowed) {
  const TrackerConfig config = objects_config();
  Tracker tracker(tiny_network(config), config);
  tracker.start(moving_discs(0), small_objects());
  at::Tensor labels = tracker.track(moving_discs(1)).label_mask.clone();
  labels.narrow(0, 45, 12).narrow(1, 62, 14).fill_(7);
  tracker.correct(moving_discs(1), labels);
  bool is_followed = false;
  for (int t = 2; t < 5; ++t) {
    const at::Tensor found = tracker.track(moving_discs(t)).label_mask.eq(7);
    is_followed |= found.narrow(0, 40, 20).narrow(1, 55, 25).any().item<bool>();
  }
  EXPECT_TRUE(is_followed);
}

TEST(Tracker, SaysWhatIsWrong) {
  Tracker tracker(tiny_network(), tiny_config());
  EXPECT_THROW(tracker.track(moving_discs(1)), Error);
  EXPECT_THROW(tracker.start(moving_discs(0), disc_labels(1, 2, 50, 80)), c10::Error);
  tracker.start(moving_discs(0), disc_labels(1, 2));
  try {
    tracker.track(moving_discs(1, 64, 80));
    FAIL() << "a frame of another size was taken";
  } catch (const MediaError& error) {
    EXPECT_STREQ(error.what(), "frame: expected 80x60 as the first frame, found 80x64");
  }
}

}  // namespace
}  // namespace hqtrack
