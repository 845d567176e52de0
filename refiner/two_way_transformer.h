#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

#include "core/dense.h"

namespace hqtrack {

/// Attention of several heads whose inner width may be smaller than that of its input.
class DecoderAttentionImpl : public torch::nn::Module {
 public:
  DecoderAttentionImpl(int64_t width, int64_t inner_width, int64_t heads);

  /// q [B, N, width], k and v [B, M, width] -> [B, N, width]. A batch of 1 on one side serves all of the
  /// other: it is projected once.
  at::Tensor forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

  Linear q_proj{nullptr}, k_proj{nullptr}, v_proj{nullptr}, out_proj{nullptr};

 private:
  int64_t heads_;
};
TORCH_MODULE(DecoderAttention);

/// Tokens look at themselves and at the image, then the image looks at the tokens.
class TwoWayLayerImpl : public torch::nn::Module {
 public:
  /// is_first: self-attention replaces the tokens and sees no positions.
  TwoWayLayerImpl(int64_t width, int64_t heads, int64_t mlp_width, bool is_first);

  /// tokens [B, n, width], image [B or 1, N, width] become those after the layer; the codes say where they
  /// are.
  void forward(at::Tensor& tokens, at::Tensor& image, const at::Tensor& token_code,
               const at::Tensor& image_code);

  DecoderAttention self_attn, cross_attn_token_to_image, cross_attn_image_to_token;
  torch::nn::LayerNorm norm1{nullptr}, norm2{nullptr}, norm3{nullptr}, norm4{nullptr};
  Linear lin1{nullptr}, lin2{nullptr};

 private:
  bool is_first_;
};
TORCH_MODULE(TwoWayLayer);

/// The transformer of SAM's mask decoder (Kirillov et al., "Segment Anything", "Lightweight mask decoder";
/// docs/hqsam.md, section 6).
class TwoWayTransformerImpl : public torch::nn::Module {
 public:
  TwoWayTransformerImpl(int64_t width, int64_t heads, int64_t mlp_width);

  struct Output {
    at::Tensor tokens;  // [B, n, width]
    at::Tensor image;   // [B, N, width]
  };
  /// image [1 or B, N, width]: one for all prompts unless masks are among them; image_code [1, N, width];
  /// tokens [B, n, width].
  Output forward(at::Tensor image, const at::Tensor& image_code, const at::Tensor& tokens);

 private:
  TwoWayLayer layers_[2];
  DecoderAttention final_attention_;
  torch::nn::LayerNorm final_norm_;
};
TORCH_MODULE(TwoWayTransformer);

}  // namespace hqtrack
