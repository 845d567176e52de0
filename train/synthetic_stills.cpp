#include "train/synthetic_stills.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "train/camera_effects.h"
#include "train/cut_out_painter.h"
#include "train/cut_outs.h"
#include "train/random.h"
#include "train/still_crop.h"

namespace hqtrack {
namespace {

constexpr uint64_t kSeed = 0x571115;  // keeps these draws apart from those of the clips

struct Scene {
  cv::Mat image, labels;  // CV_8UC3, CV_8UC1
  int64_t num_objects = 0;
};

cv::Size random_canvas(int64_t size_px, Random& random) {
  static const std::vector<double> kRatios = {9.0 / 16, 3.0 / 4, 1.0};
  const double ratio = std::min(1.0, kRatios[random.weighted({0.5, 0.25, 0.25})] * random.uniform(0.9, 1.1));
  const int longer = static_cast<int>(size_px), shorter = static_cast<int>(std::lround(longer * ratio));
  return random.chance(0.75) ? cv::Size(longer, shorter) : cv::Size(shorter, longer);
}

cv::Mat random_background(const Pictures& pictures, cv::Size canvas, Random& random) {
  cv::Mat photograph = random_patch(pictures, canvas, 0.35, 1.0, random);
  jitter_colours(photograph, 0.25, random);
  if (random.chance(0.25)) cv::GaussianBlur(photograph, photograph, {0, 0}, random.uniform(0.6, 2.5));
  return photograph;
}

/// Inwards only: nobody knows the colours outside.
void blur_edges(cv::Mat& cut_out, double sigma_px) {
  cv::Mat alpha;
  cv::extractChannel(cut_out, alpha, 3);
  cv::GaussianBlur(alpha, alpha, {0, 0}, sigma_px, sigma_px, cv::BORDER_CONSTANT);
  alpha.convertTo(alpha, -1, 2, -255);
  cv::insertChannel(alpha, cut_out, 3);
}

/// Moves the mean colour of what is visible of a cut-out towards `target`.
void draw_colours_towards(cv::Mat& cut_out, const cv::Scalar& target, double share) {
  cv::Mat alpha;
  cv::extractChannel(cut_out, alpha, 3);
  cv::Scalar offset = (target - cv::mean(cut_out, alpha > 127)) * share;
  offset[3] = 0;
  cv::add(cut_out, offset, cut_out);
}

/// Length of an object's longer edge. The first one may fill the picture, others are hidden less by that.
double random_length(cv::Size canvas, bool is_first, Random& random) {
  const double shorter = std::min(canvas.width, canvas.height);
  const bool is_large = is_first && random.chance(0.4);
  return shorter * (is_large ? random.uniform(0.55, 1.4) : random.log_uniform(0.15, 1.0));
}

void place(const cv::Mat& picture, Scene& scene, Random& random) {
  const cv::Size canvas = scene.image.size();
  const double length = random_length(canvas, scene.num_objects == 0, random);
  const cv::Point2d centre(random.uniform(0.1, 0.9) * canvas.width, random.uniform(0.1, 0.9) * canvas.height);
  cv::Mat cut_out = picture.clone();
  if (random.chance(0.45)) {
    blur_edges(cut_out, random.uniform(0.5, 2.0) * std::max(cut_out.rows, cut_out.cols) / length);
  }
  if (random.chance(0.5)) {
    const double half = length / 2;
    const cv::Rect around =
        cv::Rect(cv::Point(centre - cv::Point2d(half, half)), cv::Point(centre + cv::Point2d(half, half))) &
        cv::Rect({0, 0}, canvas);
    if (!around.empty())
      draw_colours_towards(cut_out, cv::mean(scene.image(around)), random.uniform(0.2, 0.8));
  }

  const CutOutPainter painter(cut_out, length);
  const double angle =
      random.normal(random.chance(0.25) ? 60 : 12) * std::numbers::pi / 180;  // most things stand upright
  const double c = std::cos(angle), s = std::sin(angle);
  const double aspect = std::exp(random.normal(0.12)), shear = random.normal(0.1), scale = painter.scale();
  const cv::Matx22d to_canvas =
      cv::Matx22d(c, -s, s, c) * cv::Matx22d(scale * aspect, shear * scale, 0, scale / aspect);
  cv::Mat bending;
  if (random.chance(0.35)) {
    const int points = static_cast<int>(random.integer(4, 8));
    bending = random_bending(points, length * random.uniform(0.01, 0.05), random);
  }
  Pose pose = painter.pose(centre, to_canvas, bending, canvas);
  pose.brightness = random.uniform(0.85, 1.15);
  painter.draw(pose, static_cast<int>(++scene.num_objects), scene.image, scene.labels);
}

Scene random_scene(const Pictures& pictures, const SyntheticStillOptions& options, Random& random) {
  static const std::vector<double> kCounts = {0.32, 0.28, 0.20, 0.12, 0.08, 0.05, 0.04, 0.03, 0.02, 0.02};
  const auto most = static_cast<ptrdiff_t>(std::clamp<int64_t>(options.max_objects, 1, 10));
  const int64_t count = 1 + random.weighted({kCounts.begin(), kCounts.begin() + most});
  Scene scene{random_background(pictures, random_canvas(options.size_px, random), random), {}, 0};
  scene.labels = cv::Mat::zeros(scene.image.size(), CV_8UC1);
  std::vector<cv::Mat> placed;
  for (int64_t i = 0; i < count; ++i) {
    const bool is_twin = !placed.empty() && random.chance(0.25);
    placed.push_back(is_twin ? cv::Mat(random.choose(placed)) : random_cut_out(pictures, random));
    place(placed.back(), scene, random);
  }
  return scene;
}

std::vector<int> visible_objects(const Scene& scene) {
  std::array<int, 256> counts{};
  for (auto label = scene.labels.begin<uint8_t>(); label != scene.labels.end<uint8_t>(); ++label)
    ++counts[*label];
  std::vector<int> visible;
  for (int object = 1; object <= scene.num_objects; ++object) {
    if (counts[static_cast<size_t>(object)] >= kLeastObjectPixels) visible.push_back(object);
  }
  return visible;
}

}  // namespace

SyntheticStills::SyntheticStills(Pictures pictures, const SyntheticStillOptions& options)
    : pictures_(std::move(pictures)), options_(options) {
  if (pictures_.photographs.empty()) throw MediaError("synthetic stills: expected photographs, found none");
}

Still SyntheticStills::example(int64_t number) const {
  Random random(options_.seed ^ kSeed, static_cast<uint64_t>(number));
  while (true) {
    Scene scene = random_scene(pictures_, options_, random);
    const std::vector<int> visible = visible_objects(scene);
    if (visible.empty()) continue;
    CameraEffects(random).apply(scene.image, random);
    if (random.chance(options_.zoom_share)) {
      const cv::Rect window =
          random_surroundings(box_of(scene.labels, random.choose(visible)), scene.image.size(), random);
      scene.image = scene.image(window);
      scene.labels = scene.labels(window);
    }
    return make_still(scene.image, scene.labels, scene.num_objects, options_.size_px);
  }
}

}  // namespace hqtrack
