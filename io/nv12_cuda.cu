#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "io/nv12.h"

namespace hqtrack {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of pixels in a block

template <class Sample>
__global__ void rgb_kernel(Nv12Picture picture, YuvToRgb formula, uint8_t* rgb) {
  const int x = static_cast<int>(blockIdx.x * kColumns + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * kRows + threadIdx.y);
  if (x >= picture.width || y >= picture.height) return;
  rgb_at<Sample>(picture, formula, x, y, rgb + 3 * (static_cast<int64_t>(y) * picture.width + x));
}

}  // namespace

at::Tensor nv12_to_rgb_cuda(const Nv12Picture& picture, const YuvToRgb& formula) {
  const c10::cuda::CUDAStreamGuard in_default_stream(c10::cuda::getDefaultCUDAStream(0));
  at::Tensor rgb = at::empty({picture.height, picture.width, 3},
                             at::TensorOptions().dtype(at::kByte).device(at::Device(at::kCUDA, 0)));
  const dim3 threads(kColumns, kRows);
  const dim3 blocks((picture.width + kColumns - 1) / kColumns, (picture.height + kRows - 1) / kRows);
  const auto kernel = picture.bits > 8 ? rgb_kernel<uint16_t> : rgb_kernel<uint8_t>;
  kernel<<<blocks, threads, 0, c10::cuda::getDefaultCUDAStream(0)>>>(picture, formula,
                                                                     rgb.mutable_data_ptr<uint8_t>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return rgb;
}

}  // namespace hqtrack
