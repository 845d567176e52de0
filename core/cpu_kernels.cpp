// Any machine: vectors of four floats, which x86-64 and ARM64 have.
#define HQTRACK_LANES 4
#define HQTRACK_ROWS 4
#define HQTRACK_KERNELS cpu_kernels_base
#include "core/cpu_kernels_body.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace hqtrack {

#ifdef __x86_64__
extern const CpuKernels cpu_kernels_avx2, cpu_kernels_avx512, cpu_kernels_avx512_bf16;
extern const MatrixKernel int8_kernel_avx2, int8_kernel_avx512;

namespace {

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

// GCC 12 cannot ask for it by name. Bit 4 of EAX, leaf 7.1; with AVX2 the system keeps the registers.
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & (1u << 4)) != 0;
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
  const CpuKernels* const bf16 = precision == Precision::kFloat32 ? nullptr : bf16_cpu_kernels();
  return bf16 ? *bf16 : *cpu_kernels().front();
}

const std::vector<const MatrixKernel*>& int8_kernels() {
  static const std::vector<const MatrixKernel*> kernels = [] {
    std::vector<const MatrixKernel*> found;
#ifdef __x86_64__
    if (has_avx512() && __builtin_cpu_supports("avx512vnni")) found.push_back(&int8_kernel_avx512);
    if (__builtin_cpu_supports("avx2") && has_avx_vnni()) found.push_back(&int8_kernel_avx2);
#endif
    return found;
  }();
  return kernels;
}

const MatrixKernel& weight_kernel_of(Precision precision, int64_t depth) {
  constexpr int64_t kMinDepth = 128;
  const bool is_int8 = precision == Precision::kInt8 && depth >= kMinDepth && !int8_kernels().empty();
  return is_int8 ? *int8_kernels().front() : cpu_kernels_of(precision).matrix;
}

}  // namespace hqtrack
