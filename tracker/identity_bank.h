#pragma once

#include "core/config.h"
#include "tracker/layers.h"

namespace hqtrack {

/// Embeddings of a label map: one vector a cell that says which identities lie in it (Yang et al., AOT,
/// section "Identification Embedding"; docs/vmos.md, section 3). Both scales come from 17x17 windows at
/// stride 16.
struct IdentityEmbedding {
  at::Tensor stride_16;  // [B, N16, width 16x]
  at::Tensor stride_8;   // [B, N8, width 8x]
};

/// Weights: `patch_wise_id_bank[_s8]`, `id_norm[_s8]`, registered with the parent.
class IdentityBank {
 public:
  IdentityBank(torch::nn::Module& parent, int64_t num_slots, int64_t width_16x, int64_t width_8x);

  /// one_hot [B, 1 + num_slots, H, W], channel 0 is background. Differentiable.
  IdentityEmbedding embed(const at::Tensor& one_hot);
  /// The same for a label map uint8 [H, W] of identity slots on the CPU, without the one-hot map: each cell
  /// adds up the weights of its pixels' slots, a run of equal ones at a time. Not differentiable; the weights
  /// must not change after the first call.
  IdentityEmbedding embed_labels(const at::Tensor& slots);

 private:
  void make_table();
  IdentityEmbedding finish(const at::Tensor& cells_16, const at::Tensor& cells_8, int64_t height,
                           int64_t width);

  int64_t num_slots_;
  torch::nn::Conv2d bank_16_{nullptr}, bank_8_{nullptr};
  torch::nn::LayerNorm norm_16_{nullptr}, norm_8_{nullptr};
  // [17, 18, 1 + num_slots, width 16x + width 8x]: entry [y, x] is the sum of both banks' weights left of x
  // in row y. Made when first needed.
  at::Tensor table_, table_bias_;
};

}  // namespace hqtrack
