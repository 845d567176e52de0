#include "train/still_crop.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "refiner/preprocess.h"

namespace hqtrack {
namespace {

/// Each object as a soft mask of its own, cut at one half.
void resize_labels(const cv::Mat& labels, int64_t num_objects, cv::Mat& resized) {
  const bool shrinks = resized.cols < labels.cols;
  resized.setTo(0);
  for (int object = 1; object <= num_objects; ++object) {
    cv::Mat soft;
    cv::resize(labels == object, soft, resized.size(), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
    resized.setTo(object, soft > 127);
  }
}

}  // namespace

cv::Rect box_of(const cv::Mat& labels, int label) { return cv::boundingRect(labels == label); }

cv::Rect random_surroundings(const cv::Rect& box, cv::Size picture, Random& random) {
  const double longer = std::max(box.width, box.height), margin = random.uniform(0.05, 0.45);
  const auto edge = [&] { return static_cast<int>(longer * margin * random.uniform(0.7, 1.3)) + 2; };
  const int left = edge(), top = edge(), right = edge(), bottom = edge();
  return cv::Rect(box.x - left, box.y - top, box.width + left + right, box.height + top + bottom) &
         cv::Rect({0, 0}, picture);
}

Still make_still(const cv::Mat& image, const cv::Mat& labels, int64_t num_objects, int64_t size_px) {
  const GridSize size = resized_size({image.rows, image.cols}, size_px);
  const int height = static_cast<int>(size.height), width = static_cast<int>(size.width);
  Still still{at::empty({height, width, 3}, at::kByte), at::empty({height, width}, at::kByte), num_objects};
  cv::Mat target(height, width, CV_8UC3, still.image.mutable_data_ptr());
  cv::Mat map(height, width, CV_8UC1, still.labels.mutable_data_ptr());
  if (image.size() == target.size()) {
    image.copyTo(target);
    labels.copyTo(map);
  } else {
    cv::resize(image, target, target.size(), 0, 0, width < image.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
    resize_labels(labels, num_objects, map);
  }
  return still;
}

}  // namespace hqtrack
