#pragma once

#include <torch/nn/modules/conv.h>

#include <memory>
#include <vector>

#include "tracker/encoders/encoder.h"

namespace hqtrack {

/// EfficientNet-Lite0 (Tan and Le) up to its 112-channel stage, batch norm folded into the convolutions.
/// Features: 24 channels at stride 4, 40 at 8, 112 at 16. Padding is k / 2 on both sides, which equals the
/// original's "same" padding only for edges of the form 16 k + 1. Weights: `stem`, `blocks.I.{expand, dw,
/// project}`.
class EfficientNetLite0 : public Encoder {
 public:
  EfficientNetLite0();
  Features encode(const at::Tensor& image) override;
  std::array<int64_t, 3> channels() const override { return {24, 40, 112}; }

 private:
  struct Block {
    torch::nn::Conv2d expand{nullptr}, depthwise{nullptr}, project{nullptr};
    bool has_skip = false;
    at::Tensor forward(const at::Tensor& x);
  };
  torch::nn::Conv2d stem_{nullptr};
  std::vector<Block> blocks_;
};

}  // namespace hqtrack
