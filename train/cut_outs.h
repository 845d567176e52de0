#pragma once

#include <opencv2/core/mat.hpp>

#include "train/pictures.h"
#include "train/random.h"

namespace hqtrack {

/// A random window of a random photograph, sometimes mirrored, at the size asked for (CV_8UC3). The window
/// spans a random share `smallest`..`largest` of the largest one that fits.
cv::Mat random_patch(const Pictures& pictures, cv::Size size, double smallest, double largest,
                     Random& random);

/// Random change of colour, brightness and saturation in place. `strength` .25 is clearly visible, 0 none.
void jitter_colours(cv::Mat& rgb, double strength, Random& random);

/// A smooth random shape without holes cut off (CV_8UC1, 0 or 255 with soft edge), `size` px square.
cv::Mat random_blob(int size, Random& random);

/// A random object (CV_8UC4 RGBA, not multiplied by alpha): a recoloured stamp, a drawing painted with a
/// photograph, or a piece of a photograph in the outline of a blob, stamp or drawing. Kinds that `pictures`
/// lacks are replaced by blobs.
cv::Mat random_cut_out(const Pictures& pictures, Random& random);

}  // namespace hqtrack
