#pragma once

#include <ATen/core/Tensor.h>

#include "train/clip.h"

namespace hqtrack {

/// A sheet of the first clips of a source, one a row, each frame beside the same frame with its labels in
/// colour. uint8 RGB [rows * size, 2 * frames * size, 3].
at::Tensor preview_sheet(const ClipSource& clips, int64_t rows);

}  // namespace hqtrack
