#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "core/config.h"
#include "core/frame.h"
#include "core/layers.h"
#include "refiner/prompt_encoder.h"

namespace hqtrack {

/// The objects of a label mask that are to be refined, and their prompts.
struct BoxPrompts {
  std::vector<int64_t> ids;  // ascending
  Prompts prompts;           // boxes [ids, 4] in pixels of the mask; undefined without any
};

/// One box for each id of a label mask (uint8 [H, W], CPU) with at least `config.min_area_px` pixels: the
/// outer box, first and last pixel inside, as published; with `config.box_margin` times its longer edge on
/// each side, as far as the picture goes.
BoxPrompts box_prompts(const at::Tensor& label_mask, const RefinerConfig& config);

/// The part of a picture that shows a box (corners as in Prompts::boxes) with its surroundings:
/// `config.crop_margin` times its longer edge and `config.crop_margin_px` pixels on each side.
Box crop_around(std::array<double, 4> corners, GridSize picture, const RefinerConfig& config);

}  // namespace hqtrack
