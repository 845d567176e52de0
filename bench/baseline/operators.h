#pragma once

#include <ATen/core/Tensor.h>

#include "core/layers.h"
#include "tracker/encoders/dcnv3.h"

namespace hqtrack::baseline {

// The formulas of core/attention.h and tracker/encoders/dcnv3.h by LibTorch's operators, as the published
// programs have them where their compiled extensions are missing.

/// softmax(q k^T / sqrt(d)) v, the scores as one matrix. q [B, N, d], k [B, M, d], v [B, M, e] -> [B, N, e].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// Attention to the cells around each, as a dense one whose other scores are masked. The mask and the places
/// of the learned biases are computed once for a grid and a radius.
class LocalAttention {
 public:
  LocalAttention(GridSize grid, int64_t radius, at::Device device);
  /// q, k [1, N, d], v [1, N, e], relative [1, N, (2 radius + 1)^2] -> [1, N, e].
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& relative) const;

 private:
  at::Tensor entry_;    // int64 [1, N, N]: the place in `relative`
  at::Tensor outside_;  // bool [1, N, N]
};

/// By at::grid_sample, for stride 1, padding and dilation 1 and a 3x3 kernel. Shapes as in dcnv3.
at::Tensor dcnv3(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask, int64_t groups);

}  // namespace hqtrack::baseline
