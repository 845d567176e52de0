#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "tracker/layers.h"

namespace hqtrack::parity {

/// A value of a resized picture that lies so near a half that float arithmetic may round it either way.
struct Tie {
  int64_t y, x, channel;
  uint8_t low;  // low or low + 1
};

/// All of them, for the bicubic resize of uint8 [H, W, 3] computed in double: values within 8e-5 of a half,
/// twenty times the spacing of floats there. OpenCV's own builds disagree on these pixels, and on no others,
/// from one CPU to the next.
std::vector<Tie> resize_ties(const at::Tensor& image, GridSize size);

}  // namespace hqtrack::parity
