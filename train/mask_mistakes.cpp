#include "train/mask_mistakes.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace hqtrack {
namespace {

/// A point near the object's outline or inside it, sometimes anywhere.
cv::Point random_place(const cv::Mat& labels, int label, double size_px, Random& random) {
  std::vector<cv::Point> pixels;
  cv::findNonZero(labels == label, pixels);
  if (pixels.empty() || random.chance(0.25)) {
    const int x = static_cast<int>(random.index(labels.cols)),
              y = static_cast<int>(random.index(labels.rows));
    return {x, y};
  }
  const cv::Point pixel = random.choose(pixels);
  const double spread = 0.08 * size_px;
  const int dx = static_cast<int>(random.normal(spread)), dy = static_cast<int>(random.normal(spread));
  return pixel + cv::Point(dx, dy);
}

/// One side of a random vertical or horizontal line.
cv::Mat random_side(cv::Mat& labels, Random& random) {
  const int cut = static_cast<int>(random.integer(1, labels.cols - 1));
  return random.chance(0.5) ? labels.colRange(0, cut)
                            : labels.rowRange(std::min(cut, labels.rows - 1), labels.rows);
}

}  // namespace

void add_blob_or_hole(cv::Mat& labels, int label, double size_px, Random& random) {
  const bool is_hole = random.chance(0.35);
  const cv::Point centre = random_place(labels, label, size_px, random);
  const double radius = size_px * random.uniform(0.05, 0.25);
  std::vector<double> angles(static_cast<size_t>(random.integer(4, 8)));
  for (double& angle : angles) angle = random.uniform(0, 6.283185307179586);
  std::sort(angles.begin(), angles.end());
  std::vector<cv::Point> corners;
  for (const double angle : angles) {
    const double x = radius * random.uniform(0.5, 1.2) * std::cos(angle);
    const double y = radius * random.uniform(0.5, 1.2) * std::sin(angle);
    corners.emplace_back(centre.x + static_cast<int>(x), centre.y + static_cast<int>(y));
  }
  cv::fillPoly(labels, std::vector<std::vector<cv::Point>>{corners}, is_hole ? 0 : label);
}

void shift_labels(cv::Mat& labels, double sigma_x_px, double sigma_y_px, Random& random) {
  const double dx = std::round(random.normal(sigma_x_px)), dy = std::round(random.normal(sigma_y_px));
  cv::Mat shifted;
  cv::warpAffine(labels, shifted, cv::Matx23d(1, 0, dx, 0, 1, dy), labels.size(), cv::INTER_NEAREST);
  shifted.copyTo(labels);
}

void fatten_or_thin(cv::Mat& labels, int label, int kernel_px, Random& random) {
  const cv::Mat kernel = cv::Mat::ones(kernel_px, kernel_px, CV_8UC1), mask = labels == label;
  cv::Mat changed;
  if (random.chance(0.5)) {
    cv::dilate(mask, changed, kernel);
    labels.setTo(label, changed & (labels == 0));
  } else {
    cv::erode(mask, changed, kernel);
    labels.setTo(0, mask & ~changed);
  }
}

void lose_one_side(cv::Mat& labels, int label, Random& random) {
  cv::Mat side = random_side(labels, random);
  side.setTo(0, side == label);
}

void exchange_on_one_side(cv::Mat& labels, int label, int other, Random& random) {
  cv::Mat side = random_side(labels, random);
  const cv::Mat first = side == label, second = side == other;
  side.setTo(other, first);
  side.setTo(label, second);
}

}  // namespace hqtrack
