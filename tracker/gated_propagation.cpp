#include "tracker/gated_propagation.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>

#include <cmath>

#include "core/attention.h"
#include "core/grouped_attention.h"

namespace hqtrack {
namespace {

// Labels ride through an attention as further channels of its values.
at::Tensor values_with_labels(const MemoryFrame& memory) {
  return memory.labels.defined() ? at::cat({memory.value, memory.labels}, -1) : memory.value;
}

Propagated split_labels(const at::Tensor& attended, const MemoryFrame& memory) {
  if (!memory.labels.defined()) return {attended, {}};
  const int64_t width = memory.value.size(2);
  return {attended.narrow(-1, 0, width), attended.narrow(-1, width, memory.labels.size(2))};
}

}  // namespace

GatedProjectionImpl::GatedProjectionImpl(int64_t width) {
  depthwise = register_at(
      *this, "dw_conv.conv",
      Conv2d(torch::nn::Conv2dOptions(4 * width, 4 * width, 5).padding(2).groups(4 * width).bias(false)));
  projection = register_module("projection", Linear(4 * width, 2 * width));
}

at::Tensor GatedProjectionImpl::project(const at::Tensor& values, const at::Tensor& gate, GridSize grid) {
  return projection(to_tokens(depthwise(to_map(values * gate, grid))));
}

Propagated LongTermPropagationImpl::forward(const at::Tensor& query, const MemoryFrame& memory,
                                            const at::Tensor& gate, GridSize grid) {
  const at::Tensor values = values_with_labels(memory);
  const auto num_exact = static_cast<int64_t>(std::ceil(exact_frames_ * static_cast<double>(grid.area())));
  Propagated result =
      split_labels(num_exact > 0 ? attend_by_groups(query, memory.key, values, num_exact, precision)
                                 : attend(query, memory.key, values, precision),
                   memory);
  result.tokens = project(result.tokens, gate, grid);
  return result;
}

ShortTermPropagationImpl::ShortTermPropagationImpl(int64_t width, int64_t key_width, int64_t radius)
    : GatedProjectionImpl(width), radius_(radius) {
  const int64_t side = 2 * radius + 1;
  relative_emb_k =
      register_module("relative_emb_k", Conv2d(torch::nn::Conv2dOptions(key_width, side * side, 1)));
}

Propagated ShortTermPropagationImpl::forward(const at::Tensor& query, const MemoryFrame& memory,
                                             const at::Tensor& gate, GridSize grid) {
  const at::Tensor relative = to_tokens(relative_emb_k(to_map(query, grid)));
  Propagated result = split_labels(
      attend_locally(query, memory.key, values_with_labels(memory), relative, grid, radius_, precision),
      memory);
  result.tokens = project(result.tokens, gate, grid);
  return result;
}

SelfPropagationImpl::SelfPropagationImpl(int64_t width, int64_t key_width, int64_t pool)
    : GatedProjectionImpl(width), pool_(pool) {
  linear_QK = register_module("linear_QK", Linear(2 * width, key_width));
  linear_V1 = register_module("linear_V1", Linear(width, 2 * width));
  linear_V2 = register_module("linear_V2", Linear(width, 2 * width));
  linear_U1 = register_module("linear_U1", Linear(width, 2 * width));
  linear_U2 = register_module("linear_U2", Linear(width, 2 * width));
}

at::Tensor SelfPropagationImpl::pooled(const at::Tensor& tokens, GridSize grid) const {
  if (pool_ == 1) return tokens;
  return to_tokens(at::avg_pool2d(to_map(tokens, grid), pool_, pool_, /*padding=*/0, /*ceil_mode=*/true));
}

at::Tensor SelfPropagationImpl::forward(const at::Tensor& visual, const at::Tensor& identity, GridSize grid) {
  const at::Tensor query = linear_QK(at::cat({visual, identity}, -1));
  const at::Tensor value = at::silu(at::cat({linear_V1(visual), linear_V2(identity)}, -1));
  const at::Tensor gate = at::silu(at::cat({linear_U1(visual), linear_U2(identity)}, -1));
  return project(attend(query, pooled(query, grid), pooled(value, grid), precision), gate, grid);
}

}  // namespace hqtrack
