// Compiled for AVX-512; see tracker/CMakeLists.txt.
#define HQTRACK_LANES 16
#define HQTRACK_ROWS 12
#define HQTRACK_KERNEL attention_kernel_avx512
#include "core/attention_kernel_body.h"
