#pragma once

#include <opencv2/core/mat.hpp>

#include "train/random.h"

namespace hqtrack {

/// What a cheap camera does to a clip: one gamma, focus and noise level for all its frames, and per frame a
/// flicker of brightness, sometimes motion blur and compression; at night all of them are bad.
class CameraEffects {
 public:
  explicit CameraEffects(Random& random, bool is_night = false);
  /// Changes one frame (CV_8UC3) in place.
  void apply(cv::Mat& image, Random& random) const;

 private:
  cv::Mat gamma_table_;     // CV_8UC1 [1, 256]
  double blur_sigma_ = 0;   // 0: sharp
  double noise_sigma_ = 0;  // grey levels; 0: none
  bool is_night_;
};

}  // namespace hqtrack
