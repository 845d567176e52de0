#pragma once

#include <opencv2/core/mat.hpp>

#include "train/random.h"
#include "train/still.h"

namespace hqtrack {

/// Least visible pixels of an object that anything is asked about.
constexpr int kLeastObjectPixels = 100;

/// The smallest rectangle around a label of a map (CV_8UC1); empty without it.
cv::Rect box_of(const cv::Mat& labels, int label);

/// The surroundings of a box, as `refiner.mode: crop` cuts them out, with a random margin on each side.
cv::Rect random_surroundings(const cv::Rect& box, cv::Size picture, Random& random);

/// Brings a picture (CV_8UC3) and its labels (CV_8UC1) to a longer edge of `size_px`. The outlines of objects
/// stay smooth when it enlarges. tracked: further labels of the same size, empty for none.
Still make_still(const cv::Mat& image, const cv::Mat& labels, int64_t num_objects, int64_t size_px,
                 const cv::Mat& tracked = {});

}  // namespace hqtrack
