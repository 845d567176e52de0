#pragma once

#include <vector>

#include "core/attention_kernel.h"
#include "core/depthwise_kernel.h"
#include "core/matrix_kernel.h"

namespace hqtrack {

/// Innermost loops of float32 on the CPU, built for one instruction set.
struct CpuKernels {
  AttentionKernel attention;
  DepthwiseKernel depthwise;
  MatrixKernel matrix;
};

/// Those this machine can run, the fastest first.
const std::vector<const CpuKernels*>& cpu_kernels();

}  // namespace hqtrack
