#pragma once

#include <array>
#include <opencv2/core/mat.hpp>

#include "core/frame.h"
#include "core/label_mask.h"

namespace hqtrack {

/// Draws a name tag near each object that is seen, and a list of the lost ones in the lower left corner. Tags
/// stay inside the frame and out of each other's way where there is room. canvas: CV_8UC3 RGB; regions: of
/// the label mask; scale: 1 for a picture whose shorter side has 480 pixels.
void draw_labels(cv::Mat& canvas, const TrackedFrame& tracked, const std::array<Region, 256>& regions,
                 double scale);

}  // namespace hqtrack
