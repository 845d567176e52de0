#include "bench/baseline/operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/grid_sampler.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <limits>

namespace hqtrack::baseline {

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
  return at::bmm(at::softmax(at::bmm(q * scale, k.transpose(1, 2)), -1), v);
}

LocalAttention::LocalAttention(GridSize grid, int64_t radius, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor y = at::arange(grid.height, options).view({-1, 1}).expand({-1, grid.width}).flatten(),
                   x = at::arange(grid.width, options).view({1, -1}).expand({grid.height, -1}).flatten();
  const at::Tensor dy = y.view({1, -1}) - y.view({-1, 1}), dx = x.view({1, -1}) - x.view({-1, 1});
  outside_ = dy.abs().gt(radius).logical_or(dx.abs().gt(radius)).unsqueeze(0);
  entry_ = ((dy.clamp(-radius, radius) + radius) * (2 * radius + 1) + dx.clamp(-radius, radius) + radius)
               .unsqueeze(0);
}

at::Tensor LocalAttention::operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      const at::Tensor& relative) const {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
  at::Tensor scores = at::bmm(q * scale, k.transpose(1, 2));
  scores += relative.gather(2, entry_);
  scores.masked_fill_(outside_, -std::numeric_limits<double>::infinity());
  return at::bmm(at::softmax(scores, -1), v);
}

at::Tensor dcnv3(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask, int64_t groups) {
  constexpr int64_t kPoints = 9, kBilinear = 0, kZeros = 0;
  const int64_t batch = value.size(0), height = value.size(1), width = value.size(2),
                channels = value.size(3) / groups, cells = height * width;
  // Where the points lie, in pixels: [B, h w, G, 9, (x, y)]. They run down the columns of the kernel.
  const at::Tensor y = at::arange(height, value.options()).view({-1, 1}).expand({-1, width}),
                   x = at::arange(width, value.options()).view({1, -1}).expand({height, -1});
  const at::Tensor kernel =
      at::tensor({-1, -1, -1, 0, -1, 1, 0, -1, 0, 0, 0, 1, 1, -1, 1, 0, 1, 1}, value.options())
          .view({1, 1, 1, kPoints, 2});
  const at::Tensor points = at::stack({x, y}, -1).view({1, cells, 1, 1, 2}) + kernel +
                            offset.view({batch, cells, groups, kPoints, 2});
  // grid_sample wants -1 to 1 from the outer edge of the first pixel to that of the last.
  const at::Tensor size = at::tensor({width, height}, value.options());
  const at::Tensor places =
      ((2 * points + 1) / size - 1).transpose(1, 2).reshape({batch * groups, cells, kPoints, 2});
  const at::Tensor maps = value.view({batch, cells, groups * channels})
                              .transpose(1, 2)
                              .reshape({batch * groups, channels, height, width});
  // [B G, c, h w, 9]
  const at::Tensor samples = at::grid_sampler(maps, places, kBilinear, kZeros, /*align_corners=*/false);
  const at::Tensor weights =
      mask.view({batch, cells, groups, kPoints}).transpose(1, 2).reshape({batch * groups, 1, cells, kPoints});
  return (samples * weights)
      .sum(-1)
      .view({batch, groups * channels, cells})
      .transpose(1, 2)
      .reshape({batch, height, width, groups * channels});
}

}  // namespace hqtrack::baseline
