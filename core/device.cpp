#include "core/device.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>

#ifdef HQTRACK_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#endif

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/error.h"

namespace hqtrack {
namespace {

constexpr std::string_view kCudaPrefix = "cuda:";

// Of "cuda" or "cuda:N"; -1 for others.
int cuda_index(std::string_view name) {
  if (name == "cuda") return 0;
  if (!name.starts_with(kCudaPrefix)) return -1;
  int index = -1;
  const char* const end = name.data() + name.size();
  const auto [parsed, error] = std::from_chars(name.data() + kCudaPrefix.size(), end, index);
  return error == std::errc{} && parsed == end ? index : -1;
}

}  // namespace

bool needs_grad(std::initializer_list<at::Tensor> tensors) {
  return at::GradMode::is_enabled() && std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& t) {
           return t.defined() && t.requires_grad();
         });
}

bool fits_cpu_kernels(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

void limit_device_memory(c10::Device device, int64_t bytes) {
#ifdef HQTRACK_WITH_CUDA
  at::globalContext().lazyInitDevice(at::kCUDA);
  const auto total = static_cast<double>(at::cuda::getDeviceProperties(device.index())->totalGlobalMem);
  c10::cuda::CUDACachingAllocator::setMemoryFraction(std::min(1.0, static_cast<double>(bytes) / total),
                                                     device.index());
#else
  TORCH_CHECK(false, "device memory: expected a build with CUDA to limit it on ", device, " to ", bytes);
#endif
}

int64_t cuda_device_count() {
  return at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

bool is_device_name(std::string_view name) {
  return name == "auto" || name == "cpu" || cuda_index(name) >= 0;
}

c10::Device resolve_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  if (name == "auto") return cuda_device_count() > 0 ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);

  const int index = cuda_index(name);
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
