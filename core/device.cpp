#include "core/device.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/error.h"

namespace hqtrack {

bool needs_grad(std::initializer_list<at::Tensor> tensors) {
  return at::GradMode::is_enabled() && std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& t) {
           return t.defined() && t.requires_grad();
         });
}

bool fits_cpu_kernels(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

int64_t cuda_device_count() {
  return at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

c10::Device resolve_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  if (name == "auto") return cuda_device_count() > 0 ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);

  constexpr std::string_view kCudaPrefix = "cuda:";
  int index = -1;
  if (name == "cuda") {
    index = 0;
  } else if (name.starts_with(kCudaPrefix)) {
    const auto [end, error] =
        std::from_chars(name.data() + kCudaPrefix.size(), name.data() + name.size(), index);
    if (error != std::errc{} || end != name.data() + name.size()) index = -1;
  }
  if (index < 0) throw DeviceError("device: expected auto, cpu, cuda or cuda:N, found '" + name + "'");
  const int64_t count = cuda_device_count();
  if (index >= count) {
    throw DeviceError(
        "device '" + name + "': expected one of the CUDA devices there are, found " +
        (count == 0 ? "none: no GPU, no driver, or a build without CUDA" : std::to_string(count)));
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace hqtrack
