#pragma once

#include <torch/nn/module.h>

#include "core/dense.h"

namespace hqtrack::testing {

/// What HasPrecision::use does on a GPU: dense layers hold their weights in bfloat16.
inline void hold_in_fewer_bits(torch::nn::Module& network) {
  const auto round = [](at::Tensor& weight) { weight.set_data(weight.detach().to(at::kBFloat16)); };
  for (const auto& layer : network.modules(/*include_self=*/false)) {
    if (auto* const linear = dynamic_cast<LinearImpl*>(layer.get())) round(linear->weight);
    if (auto* const transposed = dynamic_cast<ConvTranspose2dImpl*>(layer.get())) round(transposed->weight);
    auto* const conv = dynamic_cast<Conv2dImpl*>(layer.get());
    if (conv && conv->options.groups() == 1) round(conv->weight);
  }
}

}  // namespace hqtrack::testing
