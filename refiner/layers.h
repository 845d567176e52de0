#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <vector>

#include "core/dense.h"

namespace hqtrack {

/// Layer norm over the channels of each pixel, eps 1e-6. [B, C, h, w] -> the same, channels-last.
class ChannelNormImpl : public torch::nn::Module {
 public:
  explicit ChannelNormImpl(int64_t channels);
  at::Tensor forward(const at::Tensor& map);

  at::Tensor weight, bias;
};
TORCH_MODULE(ChannelNorm);

/// Three linear layers with ReLU between them; the first two are as wide as the input. Weights: `layers.0` to
/// `layers.2`.
class TripleLinearImpl : public torch::nn::Module {
 public:
  TripleLinearImpl(int64_t in_channels, int64_t out_channels);
  at::Tensor forward(at::Tensor x);

 private:
  std::vector<Linear> layers_;
};
TORCH_MODULE(TripleLinear);

/// Exact GELU (erf). Gives up its argument: works in place where no gradient needs it.
at::Tensor apply_gelu(at::Tensor x);

}  // namespace hqtrack
