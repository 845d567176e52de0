#include "tracker/search_region.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace hqtrack {
namespace {

constexpr GridSize kFrame{240, 400};

SearchRegionConfig objects_config() {
  return {.mode = "objects", .margin = 0.2, .frame_margin = 0.1, .smallest = 0.25};
}

bool contains(const Box& outer, const Box& inner) {
  return outer.x0 <= inner.x0 && outer.y0 <= inner.y0 && outer.x1 >= inner.x1 && outer.y1 >= inner.y1;
}

void expect_in_frame_and_in_proportion(const Box& region) {
  EXPECT_TRUE(contains({0, 0, kFrame.width, kFrame.height}, region));
  ASSERT_FALSE(region.is_empty());
  const double across = static_cast<double>(region.x1 - region.x0) / static_cast<double>(kFrame.width),
               down = static_cast<double>(region.y1 - region.y0) / static_cast<double>(kFrame.height);
  EXPECT_NEAR(across, down, 1.0 / 240);
}

TEST(SearchRegion, OfModeFrameIsAlwaysTheFrame) {
  SearchRegion search({}, kFrame);
  search.correct({{10, 10, 20, 20}}, false);
  EXPECT_EQ(search.next(), search.whole());
  search.update({{10, 10, 20, 20}}, true);
  EXPECT_EQ(search.after_next(), (Box{0, 0, 400, 240}));
}

TEST(SearchRegion, LiesAroundTheObjects) {
  SearchRegion search(objects_config(), kFrame);
  search.correct({{180, 100, 200, 120}, {220, 110, 240, 140}}, false);
  // Their box is 60 x 40; the margin 0.2 sqrt(2400) + 24 = 33.8 on each side: 127.6 x 107.6, of which the
  // height asks for the larger part of the frame, 0.448.
  const Box region = search.next();
  EXPECT_NEAR(static_cast<double>(region.y1 - region.y0), 107.6, 1);
  EXPECT_NEAR(static_cast<double>(region.x1 - region.x0), 107.6 * 400 / 240, 1);
  EXPECT_NEAR(static_cast<double>(region.x0 + region.x1) / 2, 210, 1);
  EXPECT_NEAR(static_cast<double>(region.y0 + region.y1) / 2, 120, 1);
  expect_in_frame_and_in_proportion(region);
  EXPECT_EQ(search.after_next(), region);
}

TEST(SearchRegion, StaysInTheFrameAndIsNeverTooSmall) {
  for (const Box& box :
       {Box{0, 0, 1, 1}, Box{399, 239, 400, 240}, Box{0, 236, 3, 240}, Box{200, 0, 203, 9}}) {
    SearchRegionConfig config = objects_config();
    config.frame_margin = config.margin = 0;
    SearchRegion search(config, kFrame);
    search.correct({box}, false);
    expect_in_frame_and_in_proportion(search.next());
    EXPECT_TRUE(contains(search.next(), box));
    EXPECT_EQ(search.next().x1 - search.next().x0, 100);  // smallest: 0.25
  }
}

TEST(SearchRegion, OfLargeObjectsIsTheFrame) {
  SearchRegion search(objects_config(), kFrame);
  search.correct({{10, 30, 390, 200}}, false);
  EXPECT_EQ(search.next(), search.whole());
}

TEST(SearchRegion, FramesOfOnePixelHaveOne) {
  SearchRegion search(objects_config(), {1, 1});
  search.correct({{0, 0, 1, 1}}, false);
  EXPECT_EQ(search.next(), (Box{0, 0, 1, 1}));
}

TEST(SearchRegion, AFrameDecidesAboutTheSecondOneAfterIt) {
  SearchRegion search(objects_config(), kFrame);
  search.correct({{50, 50, 70, 70}}, false);
  const Box first = search.next();
  search.update({{60, 50, 80, 70}}, false);
  EXPECT_EQ(search.next(), first);
  const Box second = search.after_next();
  EXPECT_NE(second, first);
  search.update({{70, 50, 90, 70}}, false);
  EXPECT_EQ(search.next(), second);
}

TEST(SearchRegion, GoesAheadOfAMovingObject) {
  SearchRegion moving(objects_config(), kFrame), still(objects_config(), kFrame);
  moving.correct({{160, 100, 180, 120}}, false);
  moving.update({{190, 100, 210, 120}}, false);
  still.correct({{190, 100, 210, 120}}, false);
  still.update({{190, 100, 210, 120}}, false);
  EXPECT_GT(moving.after_next().x1, still.after_next().x1);
  EXPECT_TRUE(contains(moving.after_next(), {220, 100, 240, 120}));
}

TEST(SearchRegion, GrowsWhileAnObjectIsLost) {
  for (const bool is_other_seen : {false, true}) {
    SearchRegion search(objects_config(), kFrame);
    search.correct({{50, 50, 70, 70}, {80, 50, 100, 70}}, false);
    const std::vector<Box> seen = is_other_seen ? std::vector<Box>{{80, 50, 100, 70}} : std::vector<Box>{};
    Box before = search.after_next();
    int frames = 0;
    for (; search.after_next() != search.whole() && frames < 100; ++frames) {
      search.update(seen, true);
      EXPECT_GT(search.after_next().x1 - search.after_next().x0, before.x1 - before.x0);
      EXPECT_TRUE(contains(search.after_next(), {80, 50, 100, 70}));
      before = search.after_next();
    }
    EXPECT_GT(frames, 2);
    EXPECT_LT(frames, 30);
    search.update({{50, 50, 70, 70}, {80, 50, 100, 70}}, false);  // found again
    EXPECT_NE(search.after_next(), search.whole());
  }
}

TEST(SearchRegion, GoesOnFromASavedState) {
  SearchRegion first(objects_config(), kFrame), second(objects_config(), kFrame);
  first.correct({{50, 50, 70, 70}}, false);
  first.update({{60, 52, 80, 72}}, false);
  const std::string file = ::testing::TempDir() + "hqtrack_search_region.safetensors";
  StateWriter writer;
  first.save(writer);
  writer.write(file);
  second.restore(StateReader(file));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(first.next(), second.next());
    EXPECT_EQ(first.after_next(), second.after_next());
    for (SearchRegion* search : {&first, &second}) search->update({{70 + 9 * i, 55, 90 + 9 * i, 75}}, false);
  }
  SearchRegion smaller(objects_config(), {60, 60});
  EXPECT_THROW(smaller.restore(StateReader(file)), WeightsError);
}

}  // namespace
}  // namespace hqtrack
