#pragma once

#include "core/config.h"
#include "core/dense.h"
#include "core/precision.h"
#include "tracker/layers.h"

namespace hqtrack {

/// One remembered frame of one block, or several of them side by side.
struct MemoryFrame {
  at::Tensor key;    // [B, M, key_width]
  at::Tensor value;  // [B, M, 4 width]: visual values, then identity values, 2 width each
  at::Tensor
      labels;  // training only: [B, M, L] label shares carried through the attention maps; else undefined
};

/// Result of an attention: the gated and projected values, and the labels it carried (undefined without
/// labels).
struct Propagated {
  at::Tensor tokens;  // [B, N, 2 width]: visual half, identity half
  at::Tensor labels;  // [B, N, L]
};

/// The tail that all three attentions share: gate, depth-wise 5x5 convolution, projection (DeAOT, subsection
/// "Gated Propagation Module").
class GatedProjectionImpl : public torch::nn::Module, public HasPrecision {
 public:
  explicit GatedProjectionImpl(int64_t width);
  /// values, gate [B, N, 4 width] -> [B, N, 2 width]
  at::Tensor project(const at::Tensor& values, const at::Tensor& gate, GridSize grid);

  Conv2d depthwise{nullptr};
  Linear projection{nullptr};
};

/// Attention to all of long-term memory; with `exact_frames` above 0 most of its cells in groups
/// (PropagationConfig).
class LongTermPropagationImpl : public GatedProjectionImpl {
 public:
  LongTermPropagationImpl(int64_t width, double exact_frames)
      : GatedProjectionImpl(width), exact_frames_(exact_frames) {}
  Propagated forward(const at::Tensor& query, const MemoryFrame& memory, const at::Tensor& gate,
                     GridSize grid);

 private:
  double exact_frames_;
};
TORCH_MODULE(LongTermPropagation);

/// Attention to a window of the short-term memory frame, with a learned bias for each place in the window.
class ShortTermPropagationImpl : public GatedProjectionImpl {
 public:
  ShortTermPropagationImpl(int64_t width, int64_t key_width, int64_t radius);
  Propagated forward(const at::Tensor& query, const MemoryFrame& memory, const at::Tensor& gate,
                     GridSize grid);

  Conv2d relative_emb_k{nullptr};  // 1x1: key_width -> (2 radius + 1)^2

 private:
  int64_t radius_;
};
TORCH_MODULE(ShortTermPropagation);

/// Attention of the frame to itself, or to the means of squares of `pool` x `pool` of its cells (those that
/// are there, at the edges).
class SelfPropagationImpl : public GatedProjectionImpl {
 public:
  SelfPropagationImpl(int64_t width, int64_t key_width, int64_t pool);
  /// visual, identity [B, N, width], normalised -> [B, N, 2 width]
  at::Tensor forward(const at::Tensor& visual, const at::Tensor& identity, GridSize grid);

  Linear linear_QK{nullptr}, linear_V1{nullptr}, linear_V2{nullptr}, linear_U1{nullptr}, linear_U2{nullptr};

 private:
  at::Tensor pooled(const at::Tensor& tokens, GridSize grid) const;

  int64_t pool_;
};
TORCH_MODULE(SelfPropagation);

}  // namespace hqtrack
