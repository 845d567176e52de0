#pragma once

#include <opencv2/core/mat.hpp>

#include "train/random.h"

namespace hqtrack {

/// What is less like the truth than this is no mask of the object any more.
constexpr double kLeastIou = 0.3;

/// An object's mask as a tracker might have it: fat or thin, shifted, with false blobs, holes and lost parts,
/// leaking into a neighbour, rounded, and of low resolution; three in ten are not damaged but for the
/// resolution. labels: CV_8UC1, with the object. Returns CV_8UC1, 0 or 255, not empty, whose IoU with the
/// truth is at least `kLeastIou`.
cv::Mat wrong_mask(const cv::Mat& labels, int object, Random& random);

/// Intersection over union of two masks (CV_8UC1, not zero = inside); 1 for two empty ones.
double iou_of(const cv::Mat& a, const cv::Mat& b);

}  // namespace hqtrack
