#pragma once

#include <opencv2/core/mat.hpp>

namespace hqtrack {

/// What a picture (CV_8UC3 RGB, any size) looks like after JPEG compression at a quality of 1..100: colours
/// halved in resolution, 8x8 cosine transform, quantised with the standard's example tables scaled in the
/// usual way. Entropy coding loses nothing and is left out.
cv::Mat jpeg_artifacts(const cv::Mat& rgb, int quality);

}  // namespace hqtrack
