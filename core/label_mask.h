#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "core/frame.h"

namespace hqtrack {

/// Area and outer box of one id in a label mask.
struct Region {
  int64_t area_px = 0;
  Box box;
};

/// Regions of all 256 values of a label mask (uint8 [H, W], contiguous, CPU), one pass over the pixels.
std::array<Region, 256> label_regions(const at::Tensor& label_mask);

/// The ids present, ascending, without 0.
std::vector<int64_t> label_ids(const at::Tensor& label_mask);

/// Nearest-neighbour resize of a label mask, which may be a part of a larger one, as PyTorch's mode "nearest" does it: source index =
/// min(floor(i * float32(in / out)), in - 1). Returns uint8 [height, width].
at::Tensor resize_labels(const at::Tensor& label_mask, int64_t height, int64_t width);

}  // namespace hqtrack
