#include "train/scene.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "train/cut_outs.h"

namespace hqtrack {
namespace {

constexpr double kBackgroundMargin = 1.5;  // side of the background picture over the frame's

MovingBackground random_background(const Pictures& pictures, const SceneStyle& style, cv::Size canvas,
                                   int num_frames, Random& random) {
  const cv::Size size(static_cast<int>(canvas.width * kBackgroundMargin),
                      static_cast<int>(canvas.height * kBackgroundMargin));
  cv::Mat photograph = random_patch(pictures, size, 0.35, 1.0, random);
  jitter_colours(photograph, 0.25, random);
  if (random.chance(0.25)) cv::GaussianBlur(photograph, photograph, {0, 0}, random.uniform(0.6, 2.5));
  return {photograph, canvas, num_frames, style.camera_shift, random};
}

/// Labels from back to front: distractors behind, or all in any order.
std::vector<int> depth_order(const SceneStyle& style, Random& random) {
  std::vector<int> labels(static_cast<size_t>(style.num_distractors), 0);
  for (int object = 1; object <= style.num_objects; ++object) labels.push_back(object);
  if (style.mixes_depth) random.shuffle(labels);
  return labels;
}

/// A post or a bush of a photograph's texture.
cv::Mat random_bar(const Pictures& pictures, Random& random) {
  if (random.chance(0.4)) {
    const cv::Mat outline = random_blob(128, random);
    cv::Mat bush;
    cv::cvtColor(random_patch(pictures, outline.size(), 0.15, 0.7, random), bush, cv::COLOR_RGB2RGBA);
    cv::insertChannel(outline, bush, 3);
    return bush;
  }
  const cv::Size size(static_cast<int>(random.integer(16, 56)), 160);
  cv::Mat post;
  cv::cvtColor(random_patch(pictures, size, 0.15, 0.7, random), post, cv::COLOR_RGB2RGBA);
  return post;
}

}  // namespace

const char* to_string(HardKind kind) {
  switch (kind) {
    case HardKind::kFast:
      return "fast";
    case HardKind::kScale:
      return "scale";
    case HardKind::kView:
      return "view";
    case HardKind::kDeform:
      return "deform";
    case HardKind::kSmall:
      return "small";
    case HardKind::kLookAlike:
      return "look-alike";
    case HardKind::kCrowd:
      return "crowd";
    case HardKind::kHidden:
      return "hidden";
    case HardKind::kAbsent:
      return "absent";
    case HardKind::kNight:
      return "night";
    case HardKind::kCamera:
      break;
  }
  return "camera";
}

SceneStyle hard_style(HardKind kind, Random& random) {
  SceneStyle style;
  style.object = {.smallest = 0.25,
                  .largest = 0.5,
                  .shift = 0.02,
                  .growth = 0.005,
                  .turn = 1,
                  .shear = 0.004,
                  .bend = 0.02,
                  .stays = true};
  style.camera_shift = 0.01;
  style.num_objects = 2;
  style.twin_share = 0;
  LayerStyle& object = style.object;
  switch (kind) {
    case HardKind::kFast:
      object.shift = random.uniform(0.09, 0.15);
      break;
    case HardKind::kScale:
      object.smallest = 0.12;
      object.largest = 0.8;
      object.growth = 0.09;
      break;
    case HardKind::kView:
      object.view = 0.07;
      object.fading = 0.8;
      object.turn = 3;
      break;
    case HardKind::kDeform:
      object.bend = 0.07;
      object.swing = 35;
      object.shear = 0.02;
      break;
    case HardKind::kSmall:
      object.smallest = 0.07;
      object.largest = 0.12;
      object.shift = 0.03;
      break;
    case HardKind::kLookAlike:
      style.num_distractors = 3;
      style.twin_share = 1;
      style.mixes_depth = true;
      style.num_objects = 1;
      object.shift = 0.03;
      break;
    case HardKind::kCrowd:
      style.num_objects = 8;
      style.twin_share = 0.3;
      object.shift = 0.03;
      break;
    case HardKind::kHidden:
      style.num_bars = 4;
      object.shift = 0.04;
      break;
    case HardKind::kAbsent:
      style.leaves = true;
      break;
    case HardKind::kNight:
      style.is_night = true;
      break;
    case HardKind::kCamera:
      style.camera_shift = 0.08;
      break;
  }
  return style;
}

Scene::Scene(const Pictures& pictures, const SceneStyle& style, cv::Size canvas, int num_frames,
             Random& random)
    : canvas_(canvas),
      background_(random_background(pictures, style, canvas, num_frames, random)),
      effects_(random, style.is_night) {
  std::vector<cv::Mat> placed;
  for (const int label : depth_order(style, random)) {
    const bool is_twin = !placed.empty() && random.chance(style.twin_share);
    placed.push_back(is_twin ? cv::Mat(random.choose(placed)) : random_cut_out(pictures, random));
    MovingLayer& layer = layers_.emplace_back(placed.back(), label, canvas, num_frames, style.object, random);
    if (style.leaves && label > 0) {
      const int count = static_cast<int>(std::max<int64_t>(1, num_frames / 4));
      layer.leave(static_cast<int>(random.integer(1, num_frames - count)), count, random);
    }
  }
  for (int bar = 0; bar < style.num_bars; ++bar) {
    const LayerStyle still{
        .smallest = 0.5, .largest = 1.0, .shift = 0.004, .growth = 0, .turn = 0.1, .shear = 0};
    layers_.emplace_back(random_bar(pictures, random), 0, canvas, num_frames, still, random);
  }
}

cv::Mat Scene::render(int frame, cv::Mat& labels, Random& random) const {
  cv::Mat image = background_.render(frame);
  labels.setTo(0);
  for (const MovingLayer& layer : layers_) layer.draw(frame, image, labels);
  effects_.apply(image, random);
  return image;
}

double Scene::visible_share(int frame, int object) const {
  cv::Mat image(canvas_, CV_8UC3, cv::Scalar::all(0)), all(canvas_, CV_8UC1, cv::Scalar(0));
  cv::Mat alone = all.clone();
  for (const MovingLayer& layer : layers_) {
    layer.draw(frame, image, all);
    if (layer.label() == object) layer.draw(frame, image, alone);
  }
  const int own = cv::countNonZero(alone);
  return own > 0 ? static_cast<double>(cv::countNonZero(all == object)) / own : 0.0;
}

}  // namespace hqtrack
