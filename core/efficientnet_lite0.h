#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>

#include <vector>

#include "core/dense.h"
#include "core/inverted_bottleneck.h"

namespace hqtrack {

/// EfficientNet-Lite0 (Tan and Le) up to its 112-channel stage, batch norm folded into the convolutions.
/// Padding is k / 2 on both sides, which equals the original's "same" padding only for edges of the form
/// 16 k + 1. Weights, registered with the parent: `stem`, `blocks.I.{expand, dw, project}`.
class EfficientNetLite0 {
 public:
  static constexpr int64_t kChannels4x = 24, kChannels8x = 40, kChannels16x = 112;

  explicit EfficientNetLite0(torch::nn::Module& parent);

  struct Maps {
    at::Tensor stride_4, stride_8, stride_16;  // [B, kChannels.., h, w]
  };
  /// image [B, 3, H, W], normalised.
  Maps forward(const at::Tensor& image);

 private:
  Conv2d stem_{nullptr};
  std::vector<InvertedBottleneck> blocks_;
};

}  // namespace hqtrack
