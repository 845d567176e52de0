#pragma once

#include <ATen/core/Tensor.h>

namespace hqtrack {

/// A convolution's weight and bias, float32.
struct FoldedConvolution {
  at::Tensor weight, bias;
};

/// The convolution that does what one without bias, weight [out, in, k, k], and the batch norm behind it did:
/// scale, shift, mean, variance [out]. Computed in double precision.
FoldedConvolution fold_batch_norm(const at::Tensor& weight, const at::Tensor& scale, const at::Tensor& shift,
                                  const at::Tensor& mean, const at::Tensor& variance, double epsilon);

}  // namespace hqtrack
