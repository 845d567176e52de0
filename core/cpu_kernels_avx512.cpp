// Compiled for AVX-512; see core/CMakeLists.txt.
#define HQTRACK_LANES 16
#define HQTRACK_ROWS 12
#define HQTRACK_KERNELS cpu_kernels_avx512
#include "core/cpu_kernels_body.h"
