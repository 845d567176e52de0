#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hqtrack {

/// (I + 1e-6) / (U + 1e-6) of the pixels of two masks (bool or uint8 [H, W], CPU; not 0 = inside). 1 when
/// both are empty.
double mask_iou(const at::Tensor& a, const at::Tensor& b);

/// Pixels of a mask that are at most `width_px` steps from outside, steps along edges and corners; outside
/// the picture is outside the mask. mask as above -> uint8 [H, W], 0 or 1.
at::Tensor mask_boundary(const at::Tensor& mask, int64_t width_px);

/// Width of the boundary that two masks of that size are compared by: 2 % of the diagonal, halves to even, at
/// least 1.
int64_t boundary_width_px(int64_t height, int64_t width);

/// Intersection over union of the two masks' boundaries (Cheng et al. 2021, "Boundary IoU"). 1 when both are
/// empty.
double boundary_iou(const at::Tensor& a, const at::Tensor& b);

}  // namespace hqtrack
