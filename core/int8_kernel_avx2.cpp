// Compiled for AVX2 with VNNI; see core/CMakeLists.txt.
#define HQTRACK_LANES 8
#define HQTRACK_ROWS 6
#define HQTRACK_KERNELS int8_kernel_avx2
#include "core/int8_kernel_body.h"
