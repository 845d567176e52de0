#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>

#include "core/dense.h"
#include "core/layers.h"

namespace hqtrack {

/// Cells of a feature map at `stride` for an input edge of 16 k + 1 pixels.
inline int64_t cells(int64_t edge_px, int64_t stride) { return (edge_px - 1) / stride + 1; }

/// Convolution k x k (padding k / 2, bias), then group norm over 8 groups.
class ConvGnImpl : public torch::nn::Module {
 public:
  ConvGnImpl(int64_t in_channels, int64_t out_channels, int64_t kernel);
  at::Tensor forward(const at::Tensor& x);

  Conv2d conv{nullptr};
  torch::nn::GroupNorm gn{nullptr};
};
TORCH_MODULE(ConvGn);

/// Two pre-activated residual units: x + GN(conv3(relu(GN(conv3(relu(x)))))), twice.
class ResidualPairImpl : public torch::nn::Module {
 public:
  explicit ResidualPairImpl(int64_t channels);
  at::Tensor forward(at::Tensor x);

 private:
  struct Unit {
    Conv2d conv1{nullptr}, conv2{nullptr};
    torch::nn::GroupNorm gn1{nullptr}, gn2{nullptr};
  };
  Unit units_[2];
};
TORCH_MODULE(ResidualPair);

}  // namespace hqtrack
