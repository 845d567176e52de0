#pragma once

#include <opencv2/core/mat.hpp>

#include "train/random.h"

namespace hqtrack {

// The mistakes that trackers and people make in a label map (CV_8UC1), one function each. `label` is the
// object's; a map without it is allowed. All change the map in place; a window of a larger map will do.

/// A false blob of the object or a hole, near its outline or inside it, a quarter of them anywhere; about
/// 0.05 to 0.25 times `size_px` in radius.
void add_blob_or_hole(cv::Mat& labels, int label, double size_px, Random& random);

/// Moves the whole map by a normal distance in each direction.
void shift_labels(cv::Mat& labels, double sigma_x_px, double sigma_y_px, Random& random);

/// Grows the object over background, or shrinks it, by half of `kernel_px` (odd).
void fatten_or_thin(cv::Mat& labels, int label, int kernel_px, Random& random);

/// Takes the object away on one side of a horizontal or vertical line.
void lose_one_side(cv::Mat& labels, int label, Random& random);

/// Exchanges two objects on one side of such a line.
void exchange_on_one_side(cv::Mat& labels, int label, int other, Random& random);

}  // namespace hqtrack
