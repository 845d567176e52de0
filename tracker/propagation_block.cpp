#include "tracker/propagation_block.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "core/threads.h"

namespace hqtrack {
namespace {

torch::nn::LayerNorm layer_norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}));
}

}  // namespace

PropagationBlockImpl::PropagationBlockImpl(const PropagationConfig& config, int64_t local_radius,
                                           bool is_first, std::string name)
    : config_(config), is_first_(is_first), name_(std::move(name)) {
  const int64_t d = config.width;
  norm1 = register_module("norm1", layer_norm(d));
  linear_QV = register_module("linear_QV", Linear(d, config.key_width + 2 * d));
  linear_U = register_module("linear_U", Linear(d, 2 * d));
  linear_ID_V = register_module("linear_ID_V", Linear(is_first ? d : 2 * d, 2 * d));
  if (!is_first) {
    id_norm1 = register_module("id_norm1", layer_norm(d));
    linear_ID_U = register_module("linear_ID_U", Linear(d, 2 * d));
  }
  long_term_attn = register_module("long_term_attn", LongTermPropagation(d, config.exact_frames));
  short_term_attn =
      register_module("short_term_attn", ShortTermPropagation(d, config.key_width, local_radius));
  norm2 = register_module("norm2", layer_norm(d));
  id_norm2 = register_module("id_norm2", layer_norm(d));
  self_attn = register_module("self_attn", SelfPropagation(d, config.key_width, config.self_pool));
}

PropagationBlockImpl::Prepared PropagationBlockImpl::prepare(const at::Tensor& visual,
                                                             const at::Tensor& identity) {
  const at::Tensor normed = norm1(visual);
  const at::Tensor query_value = linear_QV(normed);
  const at::Tensor gate = linear_U(normed);
  Prepared prepared;
  prepared.state.key = query_value.narrow(-1, 0, config_.key_width).contiguous();
  prepared.state.value = at::silu(query_value.narrow(-1, config_.key_width, 2 * config_.width));
  if (is_first_) {
    prepared.identity = at::zeros_like(visual);
    prepared.gate = at::cat({at::silu(gate), at::ones_like(gate)}, -1);
  } else {
    prepared.identity = identity;
    prepared.state.identity = id_norm1(identity);
    prepared.gate = at::silu(at::cat({gate, linear_ID_U(prepared.state.identity)}, -1));
  }
  return prepared;
}

MemoryFrame PropagationBlockImpl::memorize(const BlockState& state, const at::Tensor& embedding) {
  const at::Tensor input = is_first_ ? embedding : at::cat({state.identity, embedding}, -1);
  return {state.key, at::cat({state.value, at::silu(linear_ID_V(input))}, -1), {}};
}

PropagationBlockImpl::Output PropagationBlockImpl::propagate(const at::Tensor& visual,
                                                             const Prepared& prepared,
                                                             const MemoryFrame& long_term,
                                                             const MemoryFrame& short_term, GridSize grid) {
  const int64_t d = config_.width;
  Propagated from_long, from_short;
  run_both([&] { from_long = long_term_attn(prepared.state.key, long_term, prepared.gate, grid); },
           [&] { from_short = short_term_attn(prepared.state.key, short_term, prepared.gate, grid); });
  const at::Tensor change = from_long.tokens + from_short.tokens;
  Output out;
  out.visual = visual + change.narrow(-1, 0, d);
  out.identity = prepared.identity + change.narrow(-1, d, d);
  const at::Tensor mixed = self_attn(norm2(out.visual), id_norm2(out.identity), grid);
  out.visual = out.visual + mixed.narrow(-1, 0, d);
  out.identity = out.identity + mixed.narrow(-1, d, d);
  out.state = prepared.state;
  out.long_labels = from_long.labels;
  out.short_labels = from_short.labels;
  if (is_probed()) {
    probe(name_ + ".long_term_attn", from_long.tokens);
    probe(name_ + ".short_term_attn", from_short.tokens);
    probe(name_ + ".self_attn", mixed);
    probe(name_ + ".tgt", out.visual);
    probe(name_ + ".tgt_id", out.identity);
  }
  return out;
}

PropagationBlockImpl::Output PropagationBlockImpl::forward(const at::Tensor& visual,
                                                           const at::Tensor& identity,
                                                           const MemoryFrame& long_term,
                                                           const MemoryFrame& short_term, GridSize grid) {
  return propagate(visual, prepare(visual, identity), long_term, short_term, grid);
}

PropagationBlockImpl::Output PropagationBlockImpl::forward_reference(const at::Tensor& visual,
                                                                     const at::Tensor& identity,
                                                                     const at::Tensor& embedding,
                                                                     GridSize grid, MemoryFrame& memory) {
  const Prepared prepared = prepare(visual, identity);
  memory = memorize(prepared.state, embedding);
  return propagate(visual, prepared, memory, memory, grid);
}

}  // namespace hqtrack
