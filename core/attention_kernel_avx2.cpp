// Compiled for AVX2 and FMA; see tracker/CMakeLists.txt.
#define HQTRACK_LANES 8
#define HQTRACK_ROWS 6
#define HQTRACK_KERNEL attention_kernel_avx2
#include "core/attention_kernel_body.h"
