#include "train/memory_damage.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace hqtrack {
namespace {

/// A point near the object's outline or inside it, sometimes anywhere.
cv::Point random_place(const cv::Mat& labels, int slot, Random& random) {
  std::vector<cv::Point> pixels;
  cv::findNonZero(labels == slot, pixels);
  if (pixels.empty() || random.chance(0.25)) {
    const int x = static_cast<int>(random.index(labels.cols)),
              y = static_cast<int>(random.index(labels.rows));
    return {x, y};
  }
  const cv::Point pixel = random.choose(pixels);
  const double spread = 0.08 * labels.cols;
  const int dx = static_cast<int>(random.normal(spread)), dy = static_cast<int>(random.normal(spread));
  return pixel + cv::Point(dx, dy);
}

void add_blob_or_hole(cv::Mat& labels, int slot, Random& random) {
  const bool is_hole = random.chance(0.35);
  const cv::Point centre = random_place(labels, slot, random);
  const double radius = labels.cols * random.uniform(0.05, 0.25);
  std::vector<double> angles(static_cast<size_t>(random.integer(4, 8)));
  for (double& angle : angles) angle = random.uniform(0, 6.283185307179586);
  std::sort(angles.begin(), angles.end());
  std::vector<cv::Point> corners;
  for (const double angle : angles) {
    const double x = radius * random.uniform(0.5, 1.2) * std::cos(angle);
    const double y = radius * random.uniform(0.5, 1.2) * std::sin(angle);
    corners.emplace_back(centre.x + static_cast<int>(x), centre.y + static_cast<int>(y));
  }
  cv::fillPoly(labels, std::vector<std::vector<cv::Point>>{corners}, is_hole ? 0 : slot);
}

void shift_all(cv::Mat& labels, Random& random) {
  const double dx = std::round(random.normal(0.06 * labels.cols)),
               dy = std::round(random.normal(0.06 * labels.rows));
  cv::Mat shifted;
  cv::warpAffine(labels, shifted, cv::Matx23d(1, 0, dx, 0, 1, dy), labels.size(), cv::INTER_NEAREST);
  shifted.copyTo(labels);
}

void fatten_or_thin(cv::Mat& labels, int slot, Random& random) {
  static const std::vector<int> kSizes = {3, 5, 7, 9, 13};
  const int size = random.choose(kSizes);
  const cv::Mat kernel = cv::Mat::ones(size, size, CV_8UC1), mask = labels == slot;
  cv::Mat changed;
  if (random.chance(0.5)) {
    cv::dilate(mask, changed, kernel);
    labels.setTo(slot, changed & (labels == 0));
  } else {
    cv::erode(mask, changed, kernel);
    labels.setTo(0, mask & ~changed);
  }
}

/// One side of a random vertical or horizontal line.
cv::Mat random_side(cv::Mat& labels, Random& random) {
  const int cut = static_cast<int>(random.integer(1, labels.cols - 1));
  return random.chance(0.5) ? labels.colRange(0, cut)
                            : labels.rowRange(std::min(cut, labels.rows - 1), labels.rows);
}

void lose_one_side(cv::Mat& labels, int slot, Random& random) {
  cv::Mat side = random_side(labels, random);
  side.setTo(0, side == slot);
}

void exchange_on_one_side(cv::Mat& labels, int slot, int other, Random& random) {
  cv::Mat side = random_side(labels, random);
  const cv::Mat first = side == slot, second = side == other;
  side.setTo(other, first);
  side.setTo(slot, second);
}

}  // namespace

void damage_labels(at::Tensor& labels, const std::vector<int64_t>& slots, Random& random) {
  TORCH_CHECK(labels.dim() == 2 && labels.scalar_type() == at::kByte && labels.is_contiguous() &&
                  labels.device().is_cpu() && !slots.empty(),
              "damage_labels: expected contiguous uint8 [H, W] on the CPU and at least one slot, found ",
              labels.toString(), " ", labels.sizes(), " and ", slots.size(), " slots");
  cv::Mat map(static_cast<int>(labels.size(0)), static_cast<int>(labels.size(1)), CV_8UC1,
              labels.mutable_data_ptr<uint8_t>());
  const int64_t mistakes = random.chance(1.0 / 3) ? 2 : 1;
  for (int64_t i = 0; i < mistakes; ++i) {
    const int slot = static_cast<int>(random.choose(slots));
    switch (random.weighted({0.45, 0.20, 0.25, 0.10})) {
      case 0:
        add_blob_or_hole(map, slot, random);
        break;
      case 1:
        shift_all(map, random);
        break;
      case 2:
        fatten_or_thin(map, slot, random);
        break;
      default: {
        const int other = static_cast<int>(random.choose(slots));
        if (other != slot) {
          exchange_on_one_side(map, slot, other, random);
        } else {
          lose_one_side(map, slot, random);
        }
      }
    }
  }
}

}  // namespace hqtrack
