// Any machine: vectors of four floats, which x86-64 and ARM64 have.
#define HQTRACK_LANES 4
#define HQTRACK_ROWS 4
#define HQTRACK_KERNELS cpu_kernels_base
#include "core/cpu_kernels_body.h"

namespace hqtrack {

#ifdef __x86_64__
extern const CpuKernels cpu_kernels_avx2, cpu_kernels_avx512;
#endif

const std::vector<const CpuKernels*>& cpu_kernels() {
  static const std::vector<const CpuKernels*> kernels = [] {
    std::vector<const CpuKernels*> found;
#ifdef __x86_64__
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vl");
    if (has_avx512) found.push_back(&cpu_kernels_avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&cpu_kernels_avx2);
#endif
    found.push_back(&cpu_kernels_base);
    return found;
  }();
  return kernels;
}

}  // namespace hqtrack
