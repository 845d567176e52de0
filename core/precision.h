#pragma once

#include <torch/nn/module.h>

#include <string>

namespace hqtrack {

/// Of the factors in dot products on the CPU, where no gradients are wanted (on a GPU: `allow_tf32`). In
/// kInt8 those with weights are of 8 bits (MatrixKernel), the others as in kBFloat16.
enum class Precision { kFloat32, kBFloat16, kInt8 };

/// "fp32", "bf16" or "int8". Where this CPU lacks the instructions for one (VNNI for int8, AVX512-BF16 for
/// bf16) it says so in the log, and the answer is the next one before it.
Precision resolve_precision(const std::string& name);

/// On a GPU, in the whole process: whether matrix products and convolutions may round the factors to TF32 (10
/// bits behind the point; sums stay float32), which tensor cores compute several times as fast. LibTorch
/// allows it for convolutions unless told otherwise.
void allow_tf32(bool is_allowed);

/// A layer with dot products of its own.
class HasPrecision {
 public:
  Precision precision = Precision::kFloat32;
};

/// Of all layers below a module that have one.
void set_precision(torch::nn::Module& module, Precision precision);

}  // namespace hqtrack
