#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/layers.h"
#include "refiner/prompt_encoder.h"

namespace hqtrack {

/// Size of a picture whose long edge becomes `image_size`; halves are rounded up.
GridSize resized_size(GridSize picture, int64_t image_size);

/// Resize of uint8 [H, W, 3] (contiguous, CPU) as Pillow's BILINEAR does it, bit by bit: antialiased when it
/// shrinks, first across, then down, integer weights of 22 bits, each pass rounded (docs/hqsam.md, section
/// 2).
at::Tensor resize_antialiased(const at::Tensor& image, GridSize size);

/// The network's input: uint8 RGB [H, W, 3], at most image_size each, -> float [1, 3, image_size,
/// image_size], channels-last; normalised, then zeros below and to the right.
at::Tensor normalize_and_pad(const at::Tensor& image, int64_t image_size);

/// Prompts in pixels of the picture -> in pixels of its resized form, float32. Each axis has a ratio of its
/// own, since both edges are rounded. Masks stay as they are.
Prompts to_resized(const Prompts& prompts, GridSize picture, GridSize resized);

}  // namespace hqtrack
