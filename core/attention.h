#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/layers.h"
#include "core/precision.h"

namespace hqtrack {

/// softmax(scale q k^T) v without ever holding more scores than one tile (Dao et al., FlashAttention). q [B,
/// N, d], k [B, M, d], v [B, M, e] -> [B, N, e]; M > 0; any device and float type; scale: 1 / sqrt(d) unless
/// given. Heads go into the batch. Differentiable: the backward pass computes the scores again, tile by tile.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  Precision precision = Precision::kFloat32, std::optional<double> scale = std::nullopt);

/// Attention to the cells (y, x) of a map, row by row: softmax(scale (q k^T + rows[y] + columns[x])) v. q [B,
/// N, d], k [B, h w, d], v [B, h w, e], rows [B, N, h], columns [B, N, w] -> [B, N, e]. Decomposed relative
/// positions come to this. Otherwise as `attend`.
at::Tensor attend_to_map(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const at::Tensor& rows, const at::Tensor& columns, double scale,
                         Precision precision = Precision::kFloat32);

/// Attention of every cell to the (2 radius + 1)^2 cells around it in the other map; cells outside the map
/// take no part (DeAOT, short-term propagation; docs/vmos.md, section 4). q [B, N, d], k [B, N, d], v [B, N,
/// e], N = grid.area(); relative [B, N, (2 radius + 1)^2] is added to the scores q k^T / sqrt(d), entry
/// (dy + radius) * (2 radius + 1) + dx + radius. Returns [B, N, e]. Holds a band of rows at a time, never an
/// N x N map. Differentiable.
at::Tensor attend_locally(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& relative, GridSize grid, int64_t radius,
                          Precision precision = Precision::kFloat32);

}  // namespace hqtrack
