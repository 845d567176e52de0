// Compiled for AVX-512 with bfloat16 dot products; see core/CMakeLists.txt.
#define HQTRACK_LANES 16
#define HQTRACK_ROWS 12
#define HQTRACK_BF16
#define HQTRACK_KERNELS cpu_kernels_avx512_bf16
#include "core/cpu_kernels_body.h"
