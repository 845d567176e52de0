#pragma once

#include <ATen/core/Tensor.h>

#include "core/dense.h"

namespace hqtrack {

/// The convolutions of an inverted bottleneck (Sandler et al., MobileNetV2), with relu6 behind the first two.
struct InvertedBottleneck {
  Conv2d expand{nullptr};     // 1x1; empty: the input is as wide as the filters
  Conv2d depthwise{nullptr};  // a square filter a channel
  Conv2d project{nullptr};    // 1x1
  bool has_skip = false;      // the input is added to the result

  /// x [B, C, H, W] -> [B, C', h, w]. Where no gradients are wanted, in float32 on the CPU, a few rows go
  /// through all three before the next ones, so that the wide maps stay in the cache; the result is the same
  /// to the bit, and channels-last.
  at::Tensor forward(const at::Tensor& x);
  /// One convolution after the other.
  at::Tensor forward_by_layers(const at::Tensor& x);
};

}  // namespace hqtrack
