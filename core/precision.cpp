#include "core/precision.h"

#include <ATen/Context.h>

#include "core/cpu_kernels.h"
#include "core/log.h"

namespace hqtrack {

namespace {

Precision resolve_on_gpu(const std::string& name) {
  if (name == "fp32") return Precision::kFloat32;
  return name == "fp16" ? Precision::kFloat16 : Precision::kBFloat16;
}

}  // namespace

Precision resolve_precision(const std::string& name, c10::Device device) {
  if (!device.is_cpu()) return resolve_on_gpu(name);
  if (name == "fp32") return Precision::kFloat32;
  if (name == "int8") {
    if (!int8_kernels().empty()) return Precision::kInt8;
    log_info("precision: this CPU has no dot products of int8 (VNNI), bf16 it is");
  }
  if (bf16_cpu_kernels()) return Precision::kBFloat16;
  log_info("precision: this CPU has no bf16 dot products (AVX512-BF16), fp32 it is");
  return Precision::kFloat32;
}

at::ScalarType type_of(Precision precision) {
  if (precision == Precision::kFloat32) return at::kFloat;
  return precision == Precision::kFloat16 ? at::kHalf : at::kBFloat16;
}

void allow_tf32(bool is_allowed) {
  at::globalContext().setAllowTF32CuBLAS(is_allowed);
  at::globalContext().setAllowTF32CuDNN(is_allowed);
}

void set_precision(torch::nn::Module& module, Precision precision) {
  for (const auto& layer : module.modules(/*include_self=*/false)) {
    auto* const has_precision = dynamic_cast<HasPrecision*>(layer.get());
    if (has_precision && has_precision->precision != precision) has_precision->use(precision);
  }
}

}  // namespace hqtrack
