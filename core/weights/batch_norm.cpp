#include "core/weights/batch_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>

namespace hqtrack {

FoldedConvolution fold_batch_norm(const at::Tensor& weight, const at::Tensor& scale, const at::Tensor& shift,
                                  const at::Tensor& mean, const at::Tensor& variance, double epsilon) {
  const at::Tensor factor = scale.to(at::kDouble) * (variance.to(at::kDouble) + epsilon).rsqrt();
  return {(weight.to(at::kDouble) * factor.view({-1, 1, 1, 1})).to(at::kFloat),
          (shift.to(at::kDouble) - mean.to(at::kDouble) * factor).to(at::kFloat)};
}

}  // namespace hqtrack
