#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "refiner/preprocess_pixel.h"

namespace hqtrack {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of pixels in a block

__global__ void __launch_bounds__(kColumns* kRows)
    antialiased_kernel(const AntialiasedInput input, float* values) {
  const int x = static_cast<int>(blockIdx.x * kColumns + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * kRows + threadIdx.y);
  if (x >= input.out_width || y >= input.out_height) return;
  antialiased_pixel(input, x, y, values + 3 * (static_cast<int64_t>(y) * input.out_width + x));
}

}  // namespace

at::Tensor network_input_cuda(const at::Tensor& image, GridSize resized, GridSize size,
                              const InputForm& form) {
  const c10::cuda::CUDAGuard guard(image.device());
  at::Tensor values = at::empty({1, size.height, size.width, 3}, image.options().dtype(at::kFloat));
  const AntialiasedInput input = antialiased_input(image, resized, size, form);
  const dim3 threads(kColumns, kRows);
  const dim3 blocks((input.out_width + kColumns - 1) / kColumns, (input.out_height + kRows - 1) / kRows);
  antialiased_kernel<<<blocks, threads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      input, values.mutable_data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return values.permute({0, 3, 1, 2});
}

}  // namespace hqtrack
