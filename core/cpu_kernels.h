#pragma once

#include <vector>

#include "core/attention_kernel.h"
#include "core/depthwise_kernel.h"
#include "core/matrix_kernel.h"
#include "core/precision.h"

namespace hqtrack {

/// Innermost loops on the CPU, from float32 to float32, built for one instruction set.
struct CpuKernels {
  AttentionKernel attention;
  DepthwiseKernel depthwise;
  MatrixKernel matrix;
};

/// Those of float32 that this machine can run, the fastest first.
const std::vector<const CpuKernels*>& cpu_kernels();

/// Those whose dot products are of bfloat16; null where this machine cannot run them.
const CpuKernels* bf16_cpu_kernels();

/// The fastest of this precision, of float32 where there are none; for int8 those of bfloat16.
const CpuKernels& cpu_kernels_of(Precision precision);

/// Those with dot products of bytes that this machine can run, the fastest first.
const std::vector<const MatrixKernel*>& int8_kernels();

/// For products with weights of so many inputs: cpu_kernels_of(precision).matrix, and for int8 the fastest of
/// int8_kernels() where there are enough of them to be worth a scale for each row.
const MatrixKernel& weight_kernel_of(Precision precision, int64_t depth);

}  // namespace hqtrack
