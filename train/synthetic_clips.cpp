#include "train/synthetic_clips.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <opencv2/core/mat.hpp>
#include <optional>

#include "core/error.h"
#include "train/random.h"
#include "train/scene.h"

namespace hqtrack {
namespace {

constexpr int kLeastVisiblePixels = 60;
int random_object_count(int64_t most, Random& random) {
  static const std::vector<double> kWeights = {0.38, 0.30, 0.18, 0.07, 0.04, 0.03, 0.01, 0.01, 0.01, 0.01};
  const auto count = static_cast<size_t>(std::clamp<int64_t>(most, 1, static_cast<int64_t>(kWeights.size())));
  return 1 + static_cast<int>(
                 random.weighted({kWeights.begin(), kWeights.begin() + static_cast<ptrdiff_t>(count)}));
}

int random_distractor_count(int64_t most, Random& random) {
  std::vector<double> weights = {0.40, 0.35, 0.25};
  weights.resize(static_cast<size_t>(std::max<int64_t>(most, 0)) + 1, 0.1);
  return static_cast<int>(random.weighted(weights));
}

SceneStyle ordinary_style(const SyntheticClipOptions& options, Random& random) {
  const double motion = options.motion_strength, strength = motion * random.uniform(0.7, 1.5);
  SceneStyle style;
  style.object.shift = motion * std::array{0.035, 0.08, 0.13}[random.weighted({0.6, 0.3, 0.1})];
  style.object.turn = strength * (random.chance(0.5) ? 8 : 2);
  style.object.growth = style.object.shear = 0.05 * strength;
  style.object.bend = 0.03 * strength * static_cast<double>(random.integer(0, 2));
  style.camera_shift =
      motion * std::array{0.0, 0.01, 0.03, 0.05, 0.08}[random.weighted({0.2, 0.2, 0.25, 0.2, 0.15})];
  style.mixes_depth = random.chance(0.35);
  return style;
}

/// All that is hard may come together, each to some degree.
void make_harder(SceneStyle& style, double share, Random& random) {
  LayerStyle& object = style.object;
  if (random.chance(share)) object.growth = random.uniform(0.05, 0.15);
  if (random.chance(share)) object.view = random.uniform(0.05, 0.35);
  if (random.chance(share)) object.fading = random.uniform(0.3, 1.0);
  if (random.chance(share)) object.swing = random.uniform(10, 45);
  if (random.chance(0.5 * share)) {
    object.smallest = 0.08;
    object.largest = 0.2;
  }
  if (random.chance(share)) style.twin_share = random.uniform(0.3, 1);
  if (random.chance(share)) style.num_bars = static_cast<int>(random.integer(1, 4));
  if (random.chance(0.5 * share)) style.leaves = true;
  if (random.chance(0.5 * share)) style.is_night = true;
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
  const int total = static_cast<int>(options.num_frames + options.max_gap_frames);
  SceneStyle style = ordinary_style(options, random);
  style.num_objects = random_object_count(options.max_objects, random);
  style.num_distractors = random_distractor_count(options.max_distractors, random);
  if (options.hard_share > 0) make_harder(style, options.hard_share, random);
  const cv::Size canvas(static_cast<int>(options.width_px), static_cast<int>(options.height_px));
  const int64_t num_pixels = canvas.area();
  const Scene scene(pictures, style, canvas, total, random);
  Clip clip;
  clip.num_objects = style.num_objects;
  clip.images = at::empty({options.num_frames, options.height_px, options.width_px, 3}, at::kByte);
  clip.labels = at::empty({options.num_frames, options.height_px, options.width_px}, at::kByte);
  const auto frames = random_frame_choice(options.num_frames, options.max_gap_frames, total, random);
  for (size_t i = 0; i < frames.size(); ++i) {
    cv::Mat labels(canvas, CV_8UC1, clip.labels.mutable_data_ptr<uint8_t>() + i * num_pixels);
    const cv::Mat image = scene.render(frames[i], labels, random);
    if (i == 0 && !shows_all_objects(labels, clip.num_objects)) return std::nullopt;
    std::memcpy(clip.images.mutable_data_ptr<uint8_t>() + i * num_pixels * 3, image.data, num_pixels * 3);
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
