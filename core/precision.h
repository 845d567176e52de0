#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <torch/nn/module.h>

#include <string>

namespace hqtrack {

/// Of the factors in dot products, where no gradients are wanted. In kInt8 (on CPUs) those with weights are
/// of 8 bits (MatrixKernel), the others as in kBFloat16. kFloat16 is for GPUs.
enum class Precision { kFloat32, kBFloat16, kInt8, kFloat16 };

/// "fp32", "bf16", "int8" or "fp16", for networks on that device. What the device lacks becomes another: on a
/// GPU int8 becomes bf16, on a CPU fp16 does; where the CPU has no instructions for one (VNNI for int8,
/// AVX512-BF16 for bf16) the log says so, and the answer is bf16 for int8, fp32 for bf16.
Precision resolve_precision(const std::string& name, c10::Device device);

/// On a GPU, in the whole process: whether matrix products and convolutions may round the factors to TF32 (10
/// bits behind the point; sums stay float32), which tensor cores compute several times as fast. LibTorch
/// allows it for convolutions unless told otherwise.
void allow_tf32(bool is_allowed);

/// A layer with dot products of its own.
class HasPrecision {
 public:
  virtual ~HasPrecision() = default;
  /// On a GPU a layer with weights then holds them in that type; what was rounded stays rounded.
  virtual void use(Precision factors) { precision = factors; }

  Precision precision = Precision::kFloat32;
};

/// The type of the factors on a GPU.
at::ScalarType type_of(Precision precision);

/// Of all layers below a module that have one.
void set_precision(torch::nn::Module& module, Precision precision);

}  // namespace hqtrack
