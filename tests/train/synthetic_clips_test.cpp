#include "train/synthetic_clips.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"
#include "tests/train/drawn_pictures.h"
#include "train/moving_layer.h"
#include "train/random.h"

namespace hqtrack {
namespace {

SyntheticClipOptions small_options() {
  SyntheticClipOptions options;
  options.height_px = 81;
  options.width_px = 97;
  options.num_frames = 3;
  return options;
}

bool same(const Clip& a, const Clip& b) {
  return a.num_objects == b.num_objects && a.images.equal(b.images) && a.labels.equal(b.labels);
}

TEST(SyntheticClips, SameSeedAndNumberGiveTheSameBytes) {
  const SyntheticClips one(testing::drawn_pictures(), small_options()),
      two(testing::drawn_pictures(), small_options());
  for (const int64_t number : {0, 7, 1000000})
    EXPECT_TRUE(same(one.example(number), two.example(number))) << number;
}

TEST(SyntheticClips, OrderAndThreadsDoNotMatter) {
  const SyntheticClips clips(testing::drawn_pictures(), small_options());
  std::vector<Clip> forward, backward(8);
  for (int64_t i = 0; i < 8; ++i) forward.push_back(clips.example(i));
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 7; i >= 0; --i) threads.emplace_back([&, i] { backward[i] = clips.example(i); });
  }
  for (int64_t i = 0; i < 8; ++i) EXPECT_TRUE(same(forward[i], backward[i])) << i;
}

TEST(SyntheticClips, AnotherNumberOrSeedIsAnotherClip) {
  SyntheticClipOptions options = small_options();
  const SyntheticClips clips(testing::drawn_pictures(), options);
  options.seed = 2;
  const SyntheticClips others(testing::drawn_pictures(), options);
  EXPECT_FALSE(same(clips.example(0), clips.example(1)));
  EXPECT_FALSE(same(clips.example(0), others.example(0)));
}

TEST(SyntheticClips, ReferenceShowsEveryObjectAndNoOtherLabelAppears) {
  SyntheticClipOptions options = small_options();
  options.max_objects = 4;
  const SyntheticClips clips(testing::drawn_pictures(), options);
  int64_t most = 0;
  for (int64_t i = 0; i < 40; ++i) {
    const Clip clip = clips.example(i);
    ASSERT_EQ(clip.images.sizes(), (std::vector<int64_t>{3, 81, 97, 3}));
    ASSERT_EQ(clip.labels.sizes(), (std::vector<int64_t>{3, 81, 97}));
    for (int64_t object = 1; object <= clip.num_objects; ++object) {
      EXPECT_GT((clip.labels[0] == object).sum().item<int64_t>(), 60) << "clip " << i << " object " << object;
    }
    EXPECT_LE(clip.labels.max().item<int64_t>(), clip.num_objects);
    most = std::max(most, clip.num_objects);
  }
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 4);
}

TEST(SyntheticClips, HardThingsChangeTheClipsAndKeepTheirPromises) {
  SyntheticClipOptions options = small_options();
  const SyntheticClips ordinary(testing::drawn_pictures(), options);
  options.hard_share = 1;
  const SyntheticClips hard(testing::drawn_pictures(), options);
  int64_t num_absent = 0;
  for (int64_t i = 0; i < 20; ++i) {
    const Clip clip = hard.example(i);
    EXPECT_FALSE(same(clip, ordinary.example(i)));
    for (int64_t object = 1; object <= clip.num_objects; ++object) {
      EXPECT_GT((clip.labels[0] == object).sum().item<int64_t>(), 60) << "clip " << i << " object " << object;
      num_absent += !(clip.labels[2] == object).any().item<bool>();
    }
  }
  EXPECT_GT(num_absent, 0);
}

TEST(SyntheticClips, WorkWithPhotographsAlone) {
  Pictures pictures = testing::drawn_pictures();
  pictures.stamps.clear();
  pictures.drawings.clear();
  const SyntheticClips clips(pictures, small_options());
  for (int64_t i = 0; i < 10; ++i) EXPECT_GE(clips.example(i).num_objects, 1);
}

TEST(SyntheticClips, NeedAPhotograph) {
  Pictures pictures = testing::drawn_pictures();
  pictures.photographs.clear();
  EXPECT_THROW(SyntheticClips(pictures, small_options()), MediaError);
}

// A white cut-out on black in its first frame: the brightness of a pixel is the share of it that is covered.
TEST(MovingLayer, LabelsThePixelsItCoversByMoreThanHalf) {
  const cv::Mat white = [] {
    cv::Mat rgba = testing::drawn_cut_out(100, 60, 1);
    for (int i = 0; i < rgba.rows * rgba.cols; ++i) {
      for (int c = 0; c < 3; ++c) rgba.data[4 * i + c] = 255;
    }
    return rgba;
  }();
  int64_t covered = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const MovingLayer layer(white, 5, {97, 97}, 2, {}, random);
    cv::Mat image = cv::Mat::zeros(97, 97, CV_8UC3), labels = cv::Mat::zeros(97, 97, CV_8UC1);
    layer.draw(0, image, labels);
    for (int y = 0; y < 97; ++y) {
      for (int x = 0; x < 97; ++x) {
        const int brightness = image.at<cv::Vec3b>(y, x)[0];
        ASSERT_EQ(labels.at<uint8_t>(y, x), brightness > 127 ? 5 : 0) << seed << ": " << x << " " << y;
        covered += brightness > 127;
      }
    }
  }
  EXPECT_GT(covered, 1000);
}

TEST(MovingLayer, LaterLayersHideEarlierOnes) {
  Random random(3);
  const cv::Mat cut_out = testing::drawn_cut_out(80, 80, 1);
  const MovingLayer layer(cut_out, 1, {65, 65}, 2, {}, random);
  cv::Mat image = cv::Mat::zeros(65, 65, CV_8UC3), labels = cv::Mat::zeros(65, 65, CV_8UC1);
  labels.setTo(9);
  layer.draw(1, image, labels);
  for (int i = 0; i < 65 * 65; ++i) {
    EXPECT_TRUE(labels.data[i] == 9 || labels.data[i] == 1);
    if (labels.data[i] == 1) {
      EXPECT_NE(image.data[3 * i] + image.data[3 * i + 1] + image.data[3 * i + 2], 0);
    }
  }
}

}  // namespace
}  // namespace hqtrack
