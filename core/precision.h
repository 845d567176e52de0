#pragma once

#include <torch/nn/module.h>

#include <string>

namespace hqtrack {

/// Of the factors in dot products on the CPU, where no gradients are wanted; sums are of float32 in both.
enum class Precision { kFloat32, kBFloat16 };

/// "fp32" or "bf16". Where this CPU lacks the instructions for bf16 (AVX512-BF16) it says so in the log, and
/// the answer is kFloat32.
Precision resolve_precision(const std::string& name);

/// A layer with dot products of its own.
class HasPrecision {
 public:
  Precision precision = Precision::kFloat32;
};

/// Of all layers below a module that have one.
void set_precision(torch::nn::Module& module, Precision precision);

}  // namespace hqtrack
