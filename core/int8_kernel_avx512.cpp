// Compiled for AVX-512 with VNNI; see core/CMakeLists.txt.
#define HQTRACK_LANES 16
#define HQTRACK_ROWS 12
#define HQTRACK_KERNELS int8_kernel_avx512
#include "core/int8_kernel_body.h"
