#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "core/local_attention_tile.h"

namespace hqtrack {
namespace {

struct BlockThreads {
  template <class Phase>
  __device__ void operator()(const Phase& phase) const {
    phase(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
};

__global__ void __launch_bounds__(kTileThreads) local_attention_kernel(const LocalAttention attention) {
  extern __shared__ float scratch[];
  attend_to_tile(attention, blockIdx.z, static_cast<int>(blockIdx.y),
                 static_cast<int>(blockIdx.x) * kTileQueries, scratch, BlockThreads());
}

}  // namespace

at::Tensor attend_locally_cuda(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const at::Tensor& relative, GridSize grid, int64_t radius, double scale) {
  const c10::cuda::CUDAGuard guard(q.device());
  at::Tensor out = at::empty({q.size(0), q.size(1), v.size(2)}, v.options());
  if (out.numel() == 0) return out;
  const LocalAttention attention = local_attention(q, k, v, relative, grid, radius, scale, out);
  const LocalAttentionScratch scratch(attention.radius, attention.key_width);
  const dim3 blocks((attention.width + kTileQueries - 1) / kTileQueries, attention.height,
                    static_cast<unsigned>(q.size(0)));
  local_attention_kernel<<<blocks, kTileThreads, scratch.size() * sizeof(float),
                           c10::cuda::getCurrentCUDAStream()>>>(attention);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

}  // namespace hqtrack
