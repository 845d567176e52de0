#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <initializer_list>
#include <string>
#include <string_view>

namespace hqtrack {

/// "auto" (the first CUDA device, else the CPU), "cpu", "cuda" (its first device) or "cuda:N".
/// Throws DeviceError for any other text and for a device that is not there; says how many there are.
c10::Device resolve_device(const std::string& name);

/// Whether `resolve_device` knows a device of that name, whether there is one or not.
bool is_device_name(std::string_view name);

/// Whether autograd would record an operation on these tensors; undefined ones count as no.
bool needs_grad(std::initializer_list<at::Tensor> tensors);

/// Whether the kernels of core/cpu_kernels.h can work on it: float32 on the CPU.
bool fits_cpu_kernels(const at::Tensor& tensor);

/// LibTorch takes no more of a GPU's memory: it gives back what it keeps for later first, and then throws.
void limit_device_memory(c10::Device device, int64_t bytes);

/// CUDA devices this program can use; 0 in a build without CUDA.
int64_t cuda_device_count();

}  // namespace hqtrack
