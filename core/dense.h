#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <limits>
#include <mutex>

#include "core/precision.h"

namespace hqtrack {

/// A weight matrix as the kernels want it, made again when the weight has changed. Any thread may ask.
class PackedWeight {
 public:
  PackedWeight() = default;
  PackedWeight(const PackedWeight&) {}  // a copy of a layer packs its own
  PackedWeight& operator=(const PackedWeight&) = delete;

  /// weight: [out, in], float32 on the CPU.
  at::Tensor of(const at::Tensor& weight, Precision precision);

 private:
  std::mutex mutex_;
  at::Tensor source_, packed_;
  Precision precision_ = Precision::kFloat32;
  uint32_t version_ = 0;
};

/// LibTorch's fully connected layer. Without gradients, in float32 on the CPU, by a kernel of our own, unless
/// the matrix is a large one.
class LinearImpl : public torch::nn::LinearImpl, public HasPrecision {
 public:
  using torch::nn::LinearImpl::LinearImpl;
  at::Tensor forward(const at::Tensor& x);

 private:
  PackedWeight packed_;
};
TORCH_MODULE(Linear);

/// LibTorch's convolution, its results clamped to [lowest, highest]. One that looks at single pixels goes by
/// the same kernel as Linear, one with a filter a channel by depthwise_conv; their results are channels-last.
class Conv2dImpl : public torch::nn::Conv2dImpl, public HasPrecision {
 public:
  using torch::nn::Conv2dImpl::Conv2dImpl;
  at::Tensor forward(const at::Tensor& map, double lowest = -std::numeric_limits<double>::infinity(),
                     double highest = std::numeric_limits<double>::infinity());

 private:
  PackedWeight packed_;
};
TORCH_MODULE(Conv2d);

}  // namespace hqtrack
