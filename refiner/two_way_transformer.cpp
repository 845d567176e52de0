#include "refiner/two_way_transformer.h"

#include <ATen/ops/relu.h>

#include <algorithm>

#include "core/attention.h"
#include "core/layers.h"

namespace hqtrack {
namespace {

torch::nn::LayerNorm layer_norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}));
}

}  // namespace

DecoderAttentionImpl::DecoderAttentionImpl(int64_t width, int64_t inner_width, int64_t heads)
    : q_proj(register_module("q_proj", Linear(width, inner_width))),
      k_proj(register_module("k_proj", Linear(width, inner_width))),
      v_proj(register_module("v_proj", Linear(width, inner_width))),
      out_proj(register_module("out_proj", Linear(inner_width, width))),
      heads_(heads) {
  TORCH_CHECK(inner_width % heads == 0, "attention: expected a multiple of ", heads, " channels, found ",
              inner_width);
}

at::Tensor DecoderAttentionImpl::forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const int64_t batch = std::max(q.size(0), k.size(0));
  // [batch * heads, tokens, channels of a head]
  const auto split = [&](const at::Tensor& x) {
    const at::Tensor heads = x.unflatten(2, {heads_, -1}).transpose(1, 2);
    return heads.expand({batch, -1, -1, -1}).flatten(0, 1);
  };
  const at::Tensor attended = attend(split(q_proj(q)), split(k_proj(k)), split(v_proj(v)));
  return out_proj(attended.unflatten(0, {batch, heads_}).transpose(1, 2).flatten(2));
}

TwoWayLayerImpl::TwoWayLayerImpl(int64_t width, int64_t heads, int64_t mlp_width, bool is_first)
    : self_attn(register_module("self_attn", DecoderAttention(width, width, heads))),
      cross_attn_token_to_image(
          register_module("cross_attn_token_to_image", DecoderAttention(width, width / 2, heads))),
      cross_attn_image_to_token(
          register_module("cross_attn_image_to_token", DecoderAttention(width, width / 2, heads))),
      norm1(register_module("norm1", layer_norm(width))),
      norm2(register_module("norm2", layer_norm(width))),
      norm3(register_module("norm3", layer_norm(width))),
      norm4(register_module("norm4", layer_norm(width))),
      lin1(register_at(*this, "mlp.lin1", Linear(width, mlp_width))),
      lin2(register_at(*this, "mlp.lin2", Linear(mlp_width, width))),
      is_first_(is_first) {}

void TwoWayLayerImpl::forward(at::Tensor& tokens, at::Tensor& image, const at::Tensor& token_code,
                              const at::Tensor& image_code) {
  if (is_first_) {
    tokens = norm1(self_attn(tokens, tokens, tokens));
  } else {
    const at::Tensor placed = tokens + token_code;
    tokens = norm1(tokens + self_attn(placed, placed, tokens));
  }
  const at::Tensor placed_image = image + image_code;
  tokens = norm2(tokens + cross_attn_token_to_image(tokens + token_code, placed_image, image));
  tokens = norm3(tokens + lin2(at::relu(lin1(tokens))));
  image = norm4(image + cross_attn_image_to_token(placed_image, tokens + token_code, tokens));
}

TwoWayTransformerImpl::TwoWayTransformerImpl(int64_t width, int64_t heads, int64_t mlp_width)
    : layers_{register_at(*this, "layers.0", TwoWayLayer(width, heads, mlp_width, true)),
              register_at(*this, "layers.1", TwoWayLayer(width, heads, mlp_width, false))},
      final_attention_(
          register_module("final_attn_token_to_image", DecoderAttention(width, width / 2, heads))),
      final_norm_(register_module("norm_final_attn", layer_norm(width))) {}

TwoWayTransformerImpl::Output TwoWayTransformerImpl::forward(at::Tensor image, const at::Tensor& image_code,
                                                             const at::Tensor& tokens) {
  at::Tensor answers = tokens;
  for (TwoWayLayer& layer : layers_) layer->forward(answers, image, tokens, image_code);
  answers = final_norm_(answers + final_attention_(answers + tokens, image + image_code, image));
  return {answers, image};
}

}  // namespace hqtrack
