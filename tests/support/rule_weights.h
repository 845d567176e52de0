#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <vector>

namespace hqtrack::testing {

/// FNV-1a, 64 bit.
uint64_t fnv1a64(const void* data, size_t size);

/// The tensor that the golden files' weight rule gives to a name and shape: SplitMix64 of the name's hash,
/// scaled by the kind of tensor (norm weight, bias, matrix).
at::Tensor vmos_rule_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape);

/// Fills every parameter of the network by the rule.
void fill_by_vmos_rule(torch::nn::Module& network, const std::string& salt);

}  // namespace hqtrack::testing
