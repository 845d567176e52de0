#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace hqtrack::testing {

/// Numbers in [-1, 1) that SplitMix64 draws from the FNV-1a hash of a name.
at::Tensor rule_uniform(const std::string& name, at::IntArrayRef shape);

/// What the weight rule of the HQ-SAM goldens says of a tensor: base + scale * u, or with `is_magnitude` base
/// + scale * |u|.
struct HqSamRule {
  double base = 0.0, scale = 0.0;
  bool is_magnitude = false;
};
HqSamRule hq_sam_rule(const std::string& name, at::IntArrayRef shape);

/// The tensor that the rule gives to a name and shape: float32, or int64 for `num_batches_tracked`. The
/// prefix changes what is drawn.
at::Tensor hq_sam_rule_weight(const std::string& prefix, const std::string& name, at::IntArrayRef shape);

}  // namespace hqtrack::testing
