#include "train/still_crop.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "refiner/preprocess.h"

namespace hqtrack {
namespace {

/// Each object as a soft mask of its own, cut at one half.
at::Tensor resize_labels(const cv::Mat& labels, int64_t num_objects, cv::Size size) {
  at::Tensor map = at::zeros({size.height, size.width}, at::kByte);
  cv::Mat resized(size, CV_8UC1, map.mutable_data_ptr<uint8_t>());
  if (labels.size() == size) {
    labels.copyTo(resized);
    return map;
  }
  const bool shrinks = size.width < labels.cols;
  for (int object = 1; object <= num_objects; ++object) {
    cv::Mat soft;
    cv::resize(labels == object, soft, size, 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
    resized.setTo(object, soft > 127);
  }
  return map;
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

Still make_still(const cv::Mat& image, const cv::Mat& labels, int64_t num_objects, int64_t size_px,
                 const cv::Mat& tracked) {
  const GridSize grid = resized_size({image.rows, image.cols}, size_px);
  const cv::Size size(static_cast<int>(grid.width), static_cast<int>(grid.height));
  Still still{at::empty({size.height, size.width, 3}, at::kByte), resize_labels(labels, num_objects, size),
              num_objects, tracked.empty() ? at::Tensor() : resize_labels(tracked, num_objects, size)};
  cv::Mat target(size, CV_8UC3, still.image.mutable_data_ptr());
  if (image.size() == size) {
    image.copyTo(target);
  } else {
    cv::resize(image, target, size, 0, 0, size.width < image.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
  }
  return still;
}

}  // namespace hqtrack
