#include "train/wrong_mask.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "train/mask_mistakes.h"
#include "train/still_crop.h"

namespace hqtrack {
namespace {

constexpr int kObject = 255;
constexpr int kMostDraws = 8;

/// The object and what is near it: a mistake far away would say nothing about the object.
cv::Rect neighbourhood(const cv::Rect& box, cv::Size picture) {
  const int margin = 4 + std::max(box.width, box.height) / 4;
  return cv::Rect(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin) &
         cv::Rect({0, 0}, picture);
}

/// A round piece of another object becomes part of this one. Nothing where there is no other.
void leak_into_neighbour(cv::Mat& mask, const cv::Mat& labels, int object, Random& random) {
  std::vector<cv::Point> pixels;
  cv::findNonZero((labels != object) & (labels != 0), pixels);
  if (pixels.empty()) return;
  cv::Mat leak = cv::Mat::zeros(mask.size(), CV_8UC1);
  const int radius = 2 + static_cast<int>(std::max(mask.rows, mask.cols) * random.uniform(0.05, 0.3));
  cv::circle(leak, random.choose(pixels), radius, kObject, cv::FILLED);
  mask.setTo(kObject, leak & (labels != object) & (labels != 0));
}

void damage(cv::Mat& mask, const cv::Mat& labels, int object, double size_px, Random& random) {
  if (random.chance(0.55)) {
    const int kernel = 1 + 2 * static_cast<int>(1 + size_px * random.uniform(0.005, 0.05));
    fatten_or_thin(mask, kObject, kernel, random);
  }
  if (random.chance(0.4)) shift_labels(mask, 0.03 * size_px, 0.03 * size_px, random);
  for (int64_t i = random.index(3); i > 0; --i) {
    if (random.chance(0.8)) {
      add_blob_or_hole(mask, kObject, size_px, random);
    } else {
      cv::Mat window = mask(cv::boundingRect(mask));
      if (!window.empty()) lose_one_side(window, kObject, random);
    }
  }
  if (random.chance(0.15)) leak_into_neighbour(mask, labels, object, random);
}

/// Down to a coarse grid and back; three quarters are cut at one half on the grid, as a network's answer.
void coarsen(cv::Mat& mask, double stride, bool cuts, Random& random) {
  const cv::Size fine = mask.size(), coarse(std::max(2, static_cast<int>(std::lround(fine.width / stride))),
                                            std::max(2, static_cast<int>(std::lround(fine.height / stride))));
  cv::resize(mask, mask, coarse, 0, 0, cv::INTER_AREA);
  if (cuts) mask = mask > 127;
  cv::resize(mask, mask, fine, 0, 0, random.chance(0.7) ? cv::INTER_LINEAR : cv::INTER_NEAREST);
  mask = mask > 127;
}

}  // namespace

double iou_of(const cv::Mat& a, const cv::Mat& b) {
  const int either = cv::countNonZero(a | b);
  return either == 0 ? 1.0 : cv::countNonZero(a & b) / static_cast<double>(either);
}

cv::Mat wrong_mask(const cv::Mat& labels, int object, Random& random) {
  static const std::vector<double> kStrides = {4, 6, 8, 12, 16, 24};
  cv::Mat truth = labels == object;
  const cv::Rect window = neighbourhood(cv::boundingRect(truth), labels.size());
  const double size_px = std::sqrt(static_cast<double>(cv::countNonZero(truth)));
  for (int draw = 0; draw < kMostDraws; ++draw) {
    cv::Mat mask = truth(window).clone();
    if (random.chance(0.7)) {
      damage(mask, labels(window), object, size_px, random);
      if (random.chance(0.4)) {
        cv::GaussianBlur(mask, mask, {0, 0}, 0.5 + size_px * random.uniform(0.005, 0.03));
        mask = mask > 127;
      }
    }
    coarsen(mask, kStrides[random.weighted({0.3, 0.2, 0.2, 0.15, 0.1, 0.05})], random.chance(0.75), random);
    if (iou_of(mask, truth(window)) < kLeastIou) continue;
    cv::Mat whole = cv::Mat::zeros(labels.size(), CV_8UC1);
    mask.copyTo(whole(window));
    return whole;
  }
  return truth;
}

}  // namespace hqtrack
