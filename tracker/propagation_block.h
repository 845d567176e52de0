#pragma once

#include "core/config.h"
#include "core/dense.h"
#include "tracker/gated_propagation.h"

namespace hqtrack {

/// What a block keeps of the current frame, to make a memory frame of it once its labels are known.
struct BlockState {
  at::Tensor key;       // [B, N, key_width]
  at::Tensor value;     // [B, N, 2 width], visual values
  at::Tensor identity;  // [B, N, width], normalised; undefined in the first block
};

/// One gated propagation block: long-term, short-term and self propagation of a visual and an identity branch
/// that share their attention maps (DeAOT, section "Decoupling Features in Hierarchical Propagation";
/// docs/vmos.md, section 4).
class PropagationBlockImpl : public torch::nn::Module {
 public:
  /// The first block of a network has no identity input. `name` labels its probes.
  PropagationBlockImpl(const PropagationConfig& config, int64_t local_radius, bool is_first,
                       std::string name);

  struct Output {
    at::Tensor visual, identity;  // [B, N, width]
    BlockState state;
    at::Tensor long_labels, short_labels;  // training: labels carried by the two attention maps
  };
  /// visual, identity [B, N, width]; identity is ignored by the first block.
  Output forward(const at::Tensor& visual, const at::Tensor& identity, const MemoryFrame& long_term,
                 const MemoryFrame& short_term, GridSize grid);
  /// A reference frame: it attends to itself with the identity embedding [B, N, width] of its labels. The
  /// memory frame it makes is returned in `memory`.
  Output forward_reference(const at::Tensor& visual, const at::Tensor& identity, const at::Tensor& embedding,
                           GridSize grid, MemoryFrame& memory);
  /// The memory frame of a frame seen before, with the identity embedding of its labels.
  MemoryFrame memorize(const BlockState& state, const at::Tensor& embedding);

  torch::nn::LayerNorm norm1{nullptr}, norm2{nullptr}, id_norm1{nullptr}, id_norm2{nullptr};
  Linear linear_QV{nullptr}, linear_U{nullptr}, linear_ID_V{nullptr}, linear_ID_U{nullptr};
  LongTermPropagation long_term_attn{nullptr};
  ShortTermPropagation short_term_attn{nullptr};
  SelfPropagation self_attn{nullptr};

 private:
  struct Prepared {
    BlockState state;
    at::Tensor identity, gate;
  };
  Prepared prepare(const at::Tensor& visual, const at::Tensor& identity);
  Output propagate(const at::Tensor& visual, const Prepared& prepared, const MemoryFrame& long_term,
                   const MemoryFrame& short_term, GridSize grid);

  PropagationConfig config_;
  bool is_first_;
  std::string name_;
};
TORCH_MODULE(PropagationBlock);

}  // namespace hqtrack
