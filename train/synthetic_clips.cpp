#include "train/synthetic_clips.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "core/error.h"
#include "train/camera_effects.h"
#include "train/cut_outs.h"
#include "train/moving_layer.h"
#include "train/random.h"

namespace hqtrack {
namespace {

constexpr int kLeastVisiblePixels = 60;
constexpr double kBackgroundMargin = 1.5;  // side of the background picture over the frame's

/// All that moves in one clip, back to front.
struct Scene {
  MovingBackground background;
  std::vector<MovingLayer> layers;
};

MotionStyle random_style(double strength, Random& random) {
  MotionStyle style;
  style.object_shift = strength * std::array{0.035, 0.08, 0.13}[random.weighted({0.6, 0.3, 0.1})];
  style.camera_shift =
      strength * std::array{0.0, 0.01, 0.03, 0.05, 0.08}[random.weighted({0.2, 0.2, 0.25, 0.2, 0.15})];
  style.strength = strength * random.uniform(0.7, 1.5);
  return style;
}

int64_t random_object_count(int64_t most, Random& random) {
  static const std::vector<double> kWeights = {0.38, 0.30, 0.18, 0.07, 0.04, 0.03, 0.01, 0.01, 0.01, 0.01};
  const auto count = static_cast<size_t>(std::clamp<int64_t>(most, 1, static_cast<int64_t>(kWeights.size())));
  return 1 + random.weighted({kWeights.begin(), kWeights.begin() + static_cast<ptrdiff_t>(count)});
}

int64_t random_distractor_count(int64_t most, Random& random) {
  std::vector<double> weights = {0.40, 0.35, 0.25};
  weights.resize(static_cast<size_t>(std::max<int64_t>(most, 0)) + 1, 0.1);
  return random.weighted(weights);
}

/// Labels from back to front: distractors behind, or all in any order.
std::vector<int> random_depth_order(int64_t num_objects, int64_t num_distractors, Random& random) {
  std::vector<int> labels(static_cast<size_t>(num_distractors), 0);
  for (int64_t object = 1; object <= num_objects; ++object) labels.push_back(static_cast<int>(object));
  if (random.chance(0.35)) random.shuffle(labels);
  return labels;
}

MovingBackground random_background(const Pictures& pictures, int size, int num_frames,
                                   const MotionStyle& style, Random& random) {
  const int side = static_cast<int>(size * kBackgroundMargin);
  cv::Mat photograph = random_patch(pictures, {side, side}, 0.35, 1.0, random);
  jitter_colours(photograph, 0.25, random);
  if (random.chance(0.25)) cv::GaussianBlur(photograph, photograph, {0, 0}, random.uniform(0.6, 2.5));
  return {photograph, size, num_frames, style, random};
}

Scene random_scene(const Pictures& pictures, const SyntheticClipOptions& options, int64_t num_objects,
                   int num_frames, Random& random) {
  const int size = static_cast<int>(options.size_px);
  const MotionStyle style = random_style(options.motion_strength, random);
  Scene scene{random_background(pictures, size, num_frames, style, random), {}};
  const int64_t num_distractors = random_distractor_count(options.max_distractors, random);
  std::vector<cv::Mat> placed;
  for (const int label : random_depth_order(num_objects, num_distractors, random)) {
    const bool is_twin = !placed.empty() && random.chance(0.2);
    placed.push_back(is_twin ? cv::Mat(random.choose(placed)) : random_cut_out(pictures, random));
    scene.layers.emplace_back(placed.back(), label, size, num_frames, style, random);
  }
  return scene;
}

/// Which frames of the motion are seen: the reference, a gap, then one after another; or the same backwards.
std::vector<int> random_frame_choice(int64_t num_frames, int64_t max_gap, int total, Random& random) {
  const int64_t gap = random.chance(0.4) ? 0 : random.integer(0, max_gap);
  const bool backwards = random.chance(0.5);
  std::vector<int> frames;
  for (int64_t i = 0; i < num_frames; ++i) {
    const int frame = static_cast<int>(i == 0 ? 0 : i + gap);
    frames.push_back(backwards ? total - 1 - frame : frame);
  }
  return frames;
}

bool shows_all_objects(const cv::Mat& labels, int64_t num_objects) {
  std::array<int, 256> counts{};
  for (auto label = labels.begin<uint8_t>(); label != labels.end<uint8_t>(); ++label) ++counts[*label];
  for (int64_t object = 1; object <= num_objects; ++object) {
    if (counts[static_cast<size_t>(object)] <= kLeastVisiblePixels) return false;
  }
  return true;
}

/// Empty when an object is hidden or outside in the reference.
std::optional<Clip> try_clip(const Pictures& pictures, const SyntheticClipOptions& options, Random& random) {
  const int64_t size = options.size_px;
  const int total = static_cast<int>(options.num_frames + options.max_gap_frames);
  Clip clip;
  clip.num_objects = random_object_count(options.max_objects, random);
  const Scene scene = random_scene(pictures, options, clip.num_objects, total, random);
  const CameraEffects effects(random);
  clip.images = at::empty({options.num_frames, size, size, 3}, at::kByte);
  clip.labels = at::empty({options.num_frames, size, size}, at::kByte);
  const auto frames = random_frame_choice(options.num_frames, options.max_gap_frames, total, random);
  for (size_t i = 0; i < frames.size(); ++i) {
    cv::Mat image = scene.background.render(frames[i]);
    cv::Mat labels(image.size(), CV_8UC1, clip.labels.mutable_data_ptr<uint8_t>() + i * size * size);
    labels.setTo(0);
    for (const MovingLayer& layer : scene.layers) layer.draw(frames[i], image, labels);
    if (i == 0 && !shows_all_objects(labels, clip.num_objects)) return std::nullopt;
    effects.apply(image, random);
    std::memcpy(clip.images.mutable_data_ptr<uint8_t>() + i * size * size * 3, image.data, size * size * 3);
  }
  return clip;
}

}  // namespace

SyntheticClips::SyntheticClips(Pictures pictures, const SyntheticClipOptions& options)
    : pictures_(std::move(pictures)), options_(options) {
  if (pictures_.photographs.empty()) throw MediaError("synthetic clips: expected photographs, found none");
}

Clip SyntheticClips::example(int64_t number) const {
  Random random(options_.seed, static_cast<uint64_t>(number));
  while (true) {
    if (auto clip = try_clip(pictures_, options_, random)) return *std::move(clip);
  }
}

}  // namespace hqtrack
