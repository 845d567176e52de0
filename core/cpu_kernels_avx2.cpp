// Compiled for AVX2 and FMA; see core/CMakeLists.txt.
#define HQTRACK_LANES 8
#define HQTRACK_ROWS 6
#define HQTRACK_KERNELS cpu_kernels_avx2
#include "core/cpu_kernels_body.h"
