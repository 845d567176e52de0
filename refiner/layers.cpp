#include "refiner/layers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>

#include <string>

#include "core/layers.h"

namespace hqtrack {

ChannelNormImpl::ChannelNormImpl(int64_t channels)
    : weight(register_parameter("weight", at::ones({channels}))),
      bias(register_parameter("bias", at::zeros({channels}))) {}

at::Tensor ChannelNormImpl::forward(const at::Tensor& map) {
  return at::layer_norm(map.permute({0, 2, 3, 1}), weight.sizes(), weight, bias, 1e-6).permute({0, 3, 1, 2});
}

TripleLinearImpl::TripleLinearImpl(int64_t in_channels, int64_t out_channels) {
  for (int i = 0; i < 3; ++i) {
    layers_.push_back(register_at(*this, "layers." + std::to_string(i),
                                  Linear(in_channels, i == 2 ? out_channels : in_channels)));
  }
}

at::Tensor TripleLinearImpl::forward(at::Tensor x) {
  return layers_[2](at::relu(layers_[1](at::relu(layers_[0](x)))));
}

at::Tensor apply_gelu(at::Tensor x) {
  return at::GradMode::is_enabled() && x.requires_grad() ? at::gelu(x) : at::gelu_(x);
}

}  // namespace hqtrack
