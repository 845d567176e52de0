#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <initializer_list>
#include <string>

namespace hqtrack {

/// "auto" (the first CUDA device, else the CPU), "cpu", "cuda" (its first device) or "cuda:N".
/// Throws DeviceError for any other text and for a device that is not there; says how many there are.
c10::Device resolve_device(const std::string& name);

/// Whether autograd would record an operation on these tensors; undefined ones count as no.
bool needs_grad(std::initializer_list<at::Tensor> tensors);

/// Whether the kernels of core/cpu_kernels.h can work on it: float32 on the CPU.
bool fits_cpu_kernels(const at::Tensor& tensor);

/// CUDA devices this program can use; 0 in a build without CUDA.
int64_t cuda_device_count();

}  // namespace hqtrack
