#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

namespace hqtrack {

/// Convolution with one square filter a channel, its results clamped to [lowest, highest]. map [B, C, h, w],
/// weight [C, 1, k, k], bias [C] or undefined. Without gradients, in float32 on the CPU, by a kernel of our
/// own, whose result is channels-last.
at::Tensor depthwise_conv(const at::Tensor& map, const at::Tensor& weight, const at::Tensor& bias,
                          int64_t stride, int64_t padding,
                          double lowest = -std::numeric_limits<double>::infinity(),
                          double highest = std::numeric_limits<double>::infinity());

}  // namespace hqtrack
