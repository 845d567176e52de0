#include "train/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "tests/train/drawn_pictures.h"

namespace hqtrack {
namespace {

const cv::Size kCanvas(160, 90);
constexpr int kNumFrames = 24;

/// Pixels and middle of label 1.
struct Seen {
  int area = 0;
  cv::Point2d middle;
};

Seen look_for_1(const cv::Mat& labels) {
  Seen seen;
  for (int y = 0; y < labels.rows; ++y) {
    for (int x = 0; x < labels.cols; ++x) {
      if (labels.at<uint8_t>(y, x) != 1) continue;
      ++seen.area;
      seen.middle += cv::Point2d(x, y);
    }
  }
  if (seen.area > 0) seen.middle /= seen.area;
  return seen;
}

/// What is seen of object 1 in some scenes of a style.
std::vector<std::vector<Seen>> follow(HardKind kind) {
  std::vector<std::vector<Seen>> scenes;
  for (uint64_t number = 0; number < 12; ++number) {
    Random random(5, number);
    const SceneStyle style = hard_style(kind, random);
    const Scene scene(testing::drawn_pictures(), style, kCanvas, kNumFrames, random);
    std::vector<Seen>& frames = scenes.emplace_back();
    for (int frame = 0; frame < kNumFrames; ++frame) {
      cv::Mat labels(kCanvas, CV_8UC1);
      EXPECT_EQ(scene.render(frame, labels, random).size(), kCanvas);
      EXPECT_LE(*std::max_element(labels.begin<uint8_t>(), labels.end<uint8_t>()), style.num_objects);
      frames.push_back(look_for_1(labels));
    }
  }
  return scenes;
}

/// Means over the scenes.
double mean_step(HardKind kind) {
  double sum = 0, count = 0;
  for (const auto& frames : follow(kind)) {
    for (size_t i = 1; i < frames.size(); ++i) {
      if (frames[i].area == 0 || frames[i - 1].area == 0) continue;
      sum += cv::norm(frames[i].middle - frames[i - 1].middle);
      ++count;
    }
  }
  return sum / count;
}

double mean_area(HardKind kind) {
  double sum = 0, count = 0;
  for (const auto& frames : follow(kind)) {
    for (const Seen& seen : frames) {
      sum += seen.area;
      ++count;
    }
  }
  return sum / count;
}

double share_unseen(HardKind kind) {
  double sum = 0, count = 0;
  for (const auto& frames : follow(kind)) {
    for (const Seen& seen : frames) {
      sum += seen.area == 0;
      ++count;
    }
  }
  return sum / count;
}

TEST(Scene, EachKindIsHardInItsWay) {
  EXPECT_GT(mean_step(HardKind::kFast), 2 * mean_step(HardKind::kNight));
  EXPECT_LT(mean_area(HardKind::kSmall), 0.25 * mean_area(HardKind::kNight));
  // A quarter of the frames, and those on the way.
  EXPECT_GT(share_unseen(HardKind::kAbsent), 0.2);
  EXPECT_LT(share_unseen(HardKind::kAbsent), 0.5);
  EXPECT_LT(share_unseen(HardKind::kNight), 0.05);
  EXPECT_LT(mean_area(HardKind::kHidden), 0.9 * mean_area(HardKind::kNight));
}

TEST(Scene, AThingThatIsAwayComesBack) {
  for (const auto& frames : follow(HardKind::kAbsent)) {
    const auto is_unseen = [](const Seen& seen) { return seen.area == 0; };
    EXPECT_TRUE(std::ranges::any_of(frames, is_unseen));
    EXPECT_FALSE(std::ranges::all_of(frames, is_unseen));
  }
}

TEST(Scene, SaysHowMuchOfAnObjectIsHidden) {
  double least = 1, most = 0;
  for (uint64_t number = 0; number < 12; ++number) {
    Random random(6, number);
    SceneStyle style = hard_style(HardKind::kNight, random);
    style.num_objects = 1;
    const Scene free(testing::drawn_pictures(), style, kCanvas, kNumFrames, random);
    EXPECT_EQ(free.visible_share(0, 1), 1.0);
    EXPECT_EQ(free.visible_share(0, 2), 0.0) << "no such object";
    style.num_bars = 4;
    const Scene scene(testing::drawn_pictures(), style, kCanvas, kNumFrames, random);
    least = std::min(least, scene.visible_share(0, 1));
    most = std::max(most, scene.visible_share(0, 1));
  }
  EXPECT_LT(least, 0.6);
  EXPECT_GT(most, 0.9);
}

TEST(Scene, PartsSwingAboutAJointAndTheLabelStaysWhole) {
  // A bar cut in two: it bends in the middle, its area hardly changes.
  const cv::Mat bar(20, 120, CV_8UC4, cv::Scalar::all(255));
  double least = 1e9, most = 0;
  for (uint64_t number = 0; number < 20; ++number) {
    Random random(9, number);
    const LayerStyle style{
        .smallest = 0.6, .largest = 0.6, .shift = 0, .growth = 0, .turn = 0, .shear = 0, .swing = 40};
    const MovingLayer layer(bar, 1, {200, 200}, 20, style, random);
    for (int frame = 0; frame < 20; frame += 5) {
      cv::Mat image = cv::Mat::zeros(200, 200, CV_8UC3), labels = cv::Mat::zeros(200, 200, CV_8UC1);
      layer.draw(frame, image, labels);
      const Seen seen = look_for_1(labels);
      const cv::Point2d middle = seen.middle;
      if (middle.x < 70 || middle.x > 130 || middle.y < 70 || middle.y > 130) continue;  // may be cut off
      least = std::min<double>(least, seen.area);
      most = std::max<double>(most, seen.area);
    }
  }
  const double whole = 120 * 20;
  EXPECT_GT(least, 0.8 * whole);
  EXPECT_LT(most, 1.25 * whole);
}

}  // namespace
}  // namespace hqtrack
