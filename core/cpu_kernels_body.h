// Included by one file an instruction set, which defines HQTRACK_LANES, the floats of a vector register,
// HQTRACK_ROWS, the queries of a microtile, HQTRACK_KERNELS, the name of the kernels, and HQTRACK_BF16 where
// dot products are of bfloat16. Everything here is local to that file: code of one instruction set must not
// be linked into another.

#include "core/attention_kernel_body.h"
#include "core/cpu_kernels.h"
#include "core/depthwise_kernel_body.h"
#include "core/matrix_kernel_body.h"

namespace hqtrack {

extern const CpuKernels HQTRACK_KERNELS;
const CpuKernels HQTRACK_KERNELS{
    .attention = {pack_values, attend, add_shares, attend_window, window_scratch},
    .depthwise = {convolve_rows},
    .matrix = {kPanel, kDepthPerWord, 0, pack_rows, multiply_matrix}};

}  // namespace hqtrack
