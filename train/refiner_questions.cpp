#include "train/refiner_questions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "refiner/preprocess.h"
#include "train/as_mat.h"
#include "train/still_crop.h"
#include "train/wrong_mask.h"

namespace hqtrack {
namespace {

constexpr int64_t kMaskStride = 4;
constexpr int kKinds = 4;

/// How many points the prompts of a group have.
struct PointCount {
  int64_t on = 1, beside = 0;
};

PointCount random_point_count(Random& random) {
  return {1 + random.weighted({0.55, 0.25, 0.2}), random.chance(0.5) ? 1 : 0};
}

at::Tensor target_of(const at::Tensor& labels, int object, GridSize input) {
  const at::Tensor inside = labels.eq(object).to(at::kFloat).unsqueeze(0).unsqueeze(0);
  const at::Tensor framed =
      at::constant_pad_nd(inside, {0, input.width - labels.size(1), 0, input.height - labels.size(0)});
  return at::avg_pool2d(framed, kMaskStride);
}

/// Off the object, in its surroundings; where there is no such place, on the object.
cv::Point random_point_beside(const cv::Mat& labels, int object, Random& random) {
  const cv::Rect window = random_surroundings(box_of(labels, object), labels.size(), random);
  const cv::Mat near = labels(window) == object;
  cv::Mat grown;
  cv::dilate(near, grown, cv::Mat::ones(7, 7, CV_8UC1));
  std::vector<cv::Point> free;
  cv::findNonZero(grown == 0, free);
  return free.empty() ? random_point_on(labels, object, random) : random.choose(free) + window.tl();
}

/// The values of the prompts of one group, one after another.
class Collector {
 public:
  Collector(const Still& still, GridSize input, const RefinerTrainConfig& config, PointCount points)
      : still_(still), input_(input), config_(config), points_(points), labels_(as_mat(still.labels)) {}

  void add(PromptKind kind, int object, Random& random) {
    objects_.push_back(object);
    targets_.push_back(target_of(still_.labels, object, input_));
    if (kind == PromptKind::kMask) return add_mask(object, random);
    if (kind != PromptKind::kPoints) add_box(random_box(labels_, object, config_.box_jitter, random));
    if (kind != PromptKind::kBox) add_points(object, random);
  }

  Questions take(PromptKind kind) {
    Questions questions{kind, objects_, {}, at::cat(targets_)};
    const int64_t count = static_cast<int64_t>(objects_.size());
    if (!boxes_.empty()) questions.prompts.boxes = at::tensor(boxes_).view({count, 4});
    if (!places_.empty()) {
      questions.prompts.points = at::tensor(places_).view({count, -1, 2});
      questions.prompts.labels = at::tensor(sides_).view({count, -1});
    }
    if (!masks_.empty()) questions.prompts.masks = at::cat(masks_);
    return questions;
  }

 private:
  void add_box(const std::vector<float>& box) { boxes_.insert(boxes_.end(), box.begin(), box.end()); }

  void add_points(int object, Random& random) {
    for (int64_t i = 0; i < points_.on + points_.beside; ++i) {
      const bool is_on = i < points_.on;
      const cv::Point point =
          is_on ? random_point_on(labels_, object, random) : random_point_beside(labels_, object, random);
      places_.insert(places_.end(), {static_cast<float>(point.x), static_cast<float>(point.y)});
      sides_.push_back(labels_.at<uint8_t>(point) == object ? 1 : 0);
    }
  }

  /// Empty without a tracker, and when it has lost the object.
  cv::Mat tracked_mask(int object) const {
    if (!still_.tracked.defined()) return {};
    const cv::Mat mask = as_mat(still_.tracked) == object;
    return iou_of(mask, labels_ == object) < kLeastIou ? cv::Mat() : mask;
  }

  void add_mask(int object, Random& random) {
    const int64_t way = random.weighted({0.78, 0.10, 0.12});
    cv::Mat mask;
    std::vector<float> box;
    if (way < 2) mask = tracked_mask(object);
    if (way < 2 && mask.empty()) mask = wrong_mask(labels_, object, random);
    if (way == 0) {
      box = random_box(mask, 255, /*jitter=*/0, random);
    } else {
      box = random_box(labels_, object, config_.box_jitter, random);
    }
    if (way == 2) {
      const cv::Point first(cvRound(box[0]), cvRound(box[1])), last(cvRound(box[2]), cvRound(box[3]));
      mask = cv::Mat::zeros(labels_.size(), CV_8UC1);
      cv::rectangle(mask, first, last, 255, cv::FILLED);
    }
    add_box(box);
    const at::Tensor inside = at::from_blob(mask.data, still_.labels.sizes(), at::kByte);
    masks_.push_back(mask_prompt(inside, {still_.labels.size(0), still_.labels.size(1)}, input_));
  }

  const Still& still_;
  GridSize input_;
  const RefinerTrainConfig& config_;
  PointCount points_;
  cv::Mat labels_;
  std::vector<int> objects_;
  std::vector<float> boxes_, places_;
  std::vector<int64_t> sides_;
  std::vector<at::Tensor> masks_, targets_;
};

/// Chances of the labels 0, 1, ... to be asked about.
std::vector<double> object_weights(const Still& still) {
  std::vector<double> weights(static_cast<size_t>(still.num_objects) + 1, 0.0);
  const uint8_t* const labels = still.labels.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < still.labels.numel(); ++i) {
    if (labels[i] > 0 && labels[i] <= still.num_objects) weights[labels[i]] += 1;
  }
  for (double& weight : weights) weight = weight < kLeastObjectPixels ? 0.0 : std::sqrt(weight);
  return weights;
}

}  // namespace

std::vector<float> random_box(const cv::Mat& labels, int object, double jitter, Random& random) {
  const cv::Rect box = box_of(labels, object);
  const bool is_exact = random.chance(1.0 / 3);
  const double sigma = is_exact ? 0.0 : jitter * (random.chance(0.25) ? 2 : 1);
  const auto edge = [&](int at, int size, int last) {
    return std::clamp(at + random.normal(sigma * size), 0.0, static_cast<double>(last));
  };
  const int right = labels.cols - 1, bottom = labels.rows - 1;
  double x0 = edge(box.x, box.width, right), x1 = edge(box.x + box.width - 1, box.width, right);
  double y0 = edge(box.y, box.height, bottom), y1 = edge(box.y + box.height - 1, box.height, bottom);
  if (x0 > x1) std::swap(x0, x1);
  if (y0 > y1) std::swap(y0, y1);
  return {static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1), static_cast<float>(y1)};
}

cv::Point random_point_on(const cv::Mat& labels, int object, Random& random) {
  const cv::Rect box = box_of(labels, object);
  cv::Mat framed, depth;
  cv::copyMakeBorder(labels(box) == object, framed, 1, 1, 1, 1, cv::BORDER_CONSTANT, 0);
  cv::distanceTransform(framed, depth, cv::DIST_L2, 3);
  double deepest = 0;
  cv::minMaxLoc(depth, nullptr, &deepest);
  const double least = random.chance(0.75) ? 0.4 * deepest : 0.5;
  std::vector<cv::Point> pixels;
  cv::findNonZero(depth >= least, pixels);
  return random.choose(pixels) + box.tl() - cv::Point(1, 1);
}

std::vector<Questions> random_questions(const Still& still, GridSize input, const RefinerTrainConfig& config,
                                        Random& random) {
  const std::vector<double> weights = object_weights(still);
  TORCH_CHECK(std::any_of(weights.begin(), weights.end(), [](double weight) { return weight > 0; }),
              "questions: expected a still that shows an object of ", kLeastObjectPixels,
              " pixels, found none");
  const PointCount points = random_point_count(random);
  std::vector<Collector> groups(kKinds, Collector(still, input, config, points));
  std::array<int64_t, kKinds> counts{};
  for (int64_t i = 0; i < config.prompts_per_picture; ++i) {
    const int64_t kind = random.weighted(
        {config.box_share, config.point_share, config.box_and_point_share, config.mask_share});
    groups[kind].add(static_cast<PromptKind>(kind), static_cast<int>(random.weighted(weights)), random);
    ++counts[kind];
  }
  std::vector<Questions> questions;
  for (int kind = 0; kind < kKinds; ++kind) {
    if (counts[kind] > 0) questions.push_back(groups[kind].take(static_cast<PromptKind>(kind)));
  }
  return questions;
}

}  // namespace hqtrack
