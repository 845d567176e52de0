#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace torch::nn {
class Module;
}

namespace hqtrack {

// Weights that nobody trained, but that everybody can make: each tensor is drawn by its name and shape alone.
// Networks filled with them are no use, but as lively as trained ones. The recorded tensors of the tests were
// made with them, and benchmarks need no checkpoint.

/// FNV-1a, 64 bit. hash: of what lies before the data.
uint64_t fnv1a64(const void* data, size_t size, uint64_t hash = 0xcbf29ce484222325ull);

/// Numbers in [-1, 1) that SplitMix64 draws from the FNV-1a hash of a name.
at::Tensor rule_uniform(const std::string& name, at::IntArrayRef shape);

/// What the rule gives to a name and shape of VMOS: scaled by the kind of tensor (norm weight, bias, matrix).
/// The salt changes what is drawn.
at::Tensor vmos_rule_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape);
/// Fills every parameter of the network.
void fill_by_vmos_rule(torch::nn::Module& network, const std::string& salt);

/// What the rule says of a tensor of HQ-SAM: base + scale * u, or with `is_magnitude` base + scale * |u|.
struct HqSamRule {
  double base = 0.0, scale = 0.0;
  bool is_magnitude = false;
};
HqSamRule hq_sam_rule(const std::string& name, at::IntArrayRef shape);
/// float32, or int64 for `num_batches_tracked`.
at::Tensor hq_sam_rule_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape);
/// Fills every parameter and buffer of the network.
void fill_by_hq_sam_rule(torch::nn::Module& network, const std::string& salt);

}  // namespace hqtrack
