// Any machine: vectors of four floats, which x86-64 and ARM64 have.
#define HQTRACK_LANES 4
#define HQTRACK_ROWS 4
#define HQTRACK_KERNEL attention_kernel_base
#include "tracker/attention_kernel_body.h"

namespace hqtrack {

#ifdef __x86_64__
extern const AttentionKernel attention_kernel_avx2, attention_kernel_avx512;
#endif

const AttentionKernel& attention_kernel() {
#ifdef __x86_64__
  static const AttentionKernel& chosen = __builtin_cpu_supports("avx512f") ? attention_kernel_avx512
                                         : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                                             ? attention_kernel_avx2
                                             : attention_kernel_base;
  return chosen;
#else
  return attention_kernel_base;
#endif
}

}  // namespace hqtrack
