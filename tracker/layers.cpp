#include "tracker/layers.h"

#include <ATen/ops/relu.h>

namespace hqtrack {
namespace {

Conv2d conv3x3(int64_t channels) {
  return Conv2d(torch::nn::Conv2dOptions(channels, channels, 3).padding(1));
}

torch::nn::GroupNorm group_norm8(int64_t channels) {
  return torch::nn::GroupNorm(torch::nn::GroupNormOptions(8, channels));
}

}  // namespace

ConvGnImpl::ConvGnImpl(int64_t in_channels, int64_t out_channels, int64_t kernel)
    : conv(register_module(
          "conv", Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, kernel).padding(kernel / 2)))),
      gn(register_module("gn", group_norm8(out_channels))) {}

at::Tensor ConvGnImpl::forward(const at::Tensor& x) { return gn(conv(x)); }

ResidualPairImpl::ResidualPairImpl(int64_t channels) {
  for (int i = 0; i < 2; ++i) {
    const std::string name = "res" + std::to_string(i + 1);
    Unit& unit = units_[i];
    unit.conv1 = register_at(*this, name + ".conv1", conv3x3(channels));
    unit.conv2 = register_at(*this, name + ".conv2", conv3x3(channels));
    unit.gn1 = register_at(*this, name + ".gn1", group_norm8(channels));
    unit.gn2 = register_at(*this, name + ".gn2", group_norm8(channels));
  }
}

at::Tensor ResidualPairImpl::forward(at::Tensor x) {
  for (Unit& unit : units_) {
    x = x + unit.gn2(unit.conv2(at::relu(unit.gn1(unit.conv1(at::relu(x))))));
  }
  return x;
}

}  // namespace hqtrack
