// Any machine: vectors of four floats, which x86-64 and ARM64 have.
#define HQTRACK_LANES 4
#define HQTRACK_ROWS 4
#define HQTRACK_KERNELS cpu_kernels_base
#include "core/cpu_kernels_body.h"

namespace hqtrack {

#ifdef __x86_64__
extern const CpuKernels cpu_kernels_avx2, cpu_kernels_avx512, cpu_kernels_avx512_bf16;

namespace {

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

}  // namespace
#endif

const std::vector<const CpuKernels*>& cpu_kernels() {
  static const std::vector<const CpuKernels*> kernels = [] {
    std::vector<const CpuKernels*> found;
#ifdef __x86_64__
    if (has_avx512()) found.push_back(&cpu_kernels_avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&cpu_kernels_avx2);
#endif
    found.push_back(&cpu_kernels_base);
    return found;
  }();
  return kernels;
}

const CpuKernels* bf16_cpu_kernels() {
#ifdef __x86_64__
  static const bool has_bf16 = has_avx512() && __builtin_cpu_supports("avx512bf16");
  if (has_bf16) return &cpu_kernels_avx512_bf16;
#endif
  return nullptr;
}

const CpuKernels& cpu_kernels_of(Precision precision) {
  const CpuKernels* const bf16 = precision == Precision::kBFloat16 ? bf16_cpu_kernels() : nullptr;
  return bf16 ? *bf16 : *cpu_kernels().front();
}

}  // namespace hqtrack
