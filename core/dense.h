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

  using Arrange = at::Tensor (*)(const at::Tensor& weight);
  /// weight: float32 on the CPU; `arranged`: its values as [out, in].
  at::Tensor of(const at::Tensor& weight, Precision precision, Arrange arranged);

 private:
  std::mutex mutex_;
  at::Tensor source_, packed_;
  Precision precision_ = Precision::kFloat32;
  uint32_t version_ = 0;
};

/// LibTorch's fully connected layer. Without gradients, in float32 on the CPU, by a kernel of our own. A
/// weight of up to 2^20 numbers is packed once and held twice from then on, a larger one at each call.
/// Where the weight has fewer bits than the input (on a GPU, HasPrecision::use), the product is of its type,
/// and what comes out is of the input's again. That holds for the layers below as well.
class LinearImpl : public torch::nn::LinearImpl, public HasPrecision {
 public:
  using torch::nn::LinearImpl::LinearImpl;
  void use(Precision factors) override;
  at::Tensor forward(const at::Tensor& x);

 private:
  at::Tensor by_operators(const at::Tensor& x);
  PackedWeight packed_;
};
TORCH_MODULE(Linear);

/// LibTorch's convolution, its results clamped to [lowest, highest]. One that looks at single pixels goes by
/// the same kernel as Linear, as does any dense one of fewer bits than float32; one with a filter a channel
/// by depthwise_conv. Their results are channels-last.
class Conv2dImpl : public torch::nn::Conv2dImpl, public HasPrecision {
 public:
  using torch::nn::Conv2dImpl::Conv2dImpl;
  /// A filter a channel stays float32.
  void use(Precision factors) override;
  at::Tensor forward(const at::Tensor& map, double lowest = -std::numeric_limits<double>::infinity(),
                     double highest = std::numeric_limits<double>::infinity());

  /// The weight of a 1x1 convolution as MatrixKernel::multiply takes it, at this precision.
  at::Tensor packed_weight();
  /// Pixels on each side, of a square filter.
  int64_t padding() const;

 private:
  at::Tensor by_operators(const at::Tensor& map);
  PackedWeight packed_;
};
TORCH_MODULE(Conv2d);

/// LibTorch's transposed convolution. Without gradients, of fewer bits than float32 on the CPU, one that
/// makes a square of k x k pixels of each pixel (filters k x k, stride k) goes by the same kernel as Linear.
class ConvTranspose2dImpl : public torch::nn::ConvTranspose2dImpl, public HasPrecision {
 public:
  using torch::nn::ConvTranspose2dImpl::ConvTranspose2dImpl;
  void use(Precision factors) override;
  at::Tensor forward(const at::Tensor& map);

 private:
  at::Tensor by_operators(const at::Tensor& map);
  PackedWeight packed_;
};
TORCH_MODULE(ConvTranspose2d);

}  // namespace hqtrack
