#pragma once

#include <ATen/core/Tensor.h>

#include "core/config.h"
#include "train/clip.h"
#include "train/still.h"

namespace hqtrack {

/// A sheet of the first clips of a source, one a row, each frame beside the same frame with its labels in
/// colour. uint8 RGB [rows * size, 2 * frames * size, 3].
at::Tensor preview_sheet(const ClipSource& clips, int64_t rows);

/// A sheet of the first stills of a source, one a row, at half their size: the still, its labels in colour,
/// and what may be asked about it: box, points, box and points, wrong mask with its box. Points on the object
/// are green, beside it red. uint8 RGB [rows * side, 6 * side, 3].
at::Tensor preview_sheet(const StillSource& stills, const TrainConfig& config, int64_t rows);

}  // namespace hqtrack
