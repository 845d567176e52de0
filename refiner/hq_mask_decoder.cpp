#include "refiner/hq_mask_decoder.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/col2im.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>

#include <string>

#include "core/layers.h"
#include "core/profile.h"

namespace hqtrack {
namespace {

constexpr int64_t kMaskTokens = 4;  // one for the whole, three for ambiguous prompts

ConvTranspose2d doubling(int64_t in_channels, int64_t out_channels) {
  return ConvTranspose2d(torch::nn::ConvTranspose2dOptions(in_channels, out_channels, 2).stride(2));
}

Conv2d conv3x3(int64_t in_channels, int64_t out_channels) {
  return Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, 3).padding(1));
}

at::Tensor token_at(torch::nn::Module& parent, const std::string& name, int64_t count, int64_t width) {
  return group_at(parent, name).register_parameter("weight", at::randn({count, width}));
}

// weights [B, m, C] on the channels of maps [B, C, h, w] -> [B, m, h, w]
at::Tensor weigh(const at::Tensor& weights, const at::Tensor& maps) {
  count_flops(2 * weights.size(1) * maps.numel());
  return at::bmm(weights, maps.flatten(2)).unflatten(2, maps.sizes().slice(2));
}

}  // namespace

Upscaling::Upscaling(torch::nn::Module& parent, const std::string& name, int64_t in_channels,
                     int64_t inner_channels, int64_t out_channels)
    : first_(register_at(parent, name + ".0", doubling(in_channels, inner_channels))),
      second_(register_at(parent, name + ".3", doubling(inner_channels, out_channels))),
      norm_(register_at(parent, name + ".1", ChannelNorm(inner_channels))) {}

at::Tensor Upscaling::forward(const at::Tensor& map) {
  const at::Tensor inner = first_(map), out = second_(apply_gelu(norm_(inner)));
  count_flops(2 * inner.numel() * map.size(1) + 2 * out.numel() * inner.size(1));
  return out;
}

HqMaskDecoderImpl::HqBranch::HqBranch(torch::nn::Module& decoder, int64_t width, int64_t early_channels)
    : token(token_at(decoder, "hf_token", 1, width)),
      mlp(register_at(decoder, "hf_mlp", TripleLinear(width, width / 8))),
      early(decoder, "compress_vit_feat", early_channels, width, width / 8),
      late(decoder, "embedding_encoder", width, width / 4, width / 8),
      fuse1(register_at(decoder, "embedding_maskfeature.0", conv3x3(width / 8, width / 4))),
      fuse2(register_at(decoder, "embedding_maskfeature.3", conv3x3(width / 4, width / 8))),
      fuse_norm(register_at(decoder, "embedding_maskfeature.1", ChannelNorm(width / 4))) {}

// The mask weighs the channels of fuse2's output. To weigh its kernel instead leaves one channel to compute:
// each pixel is multiplied with the nine taps, which are then added up where they belong.
at::Tensor HqMaskDecoderImpl::HqBranch::mask(const at::Tensor& answer, const at::Tensor& features,
                                             const at::Tensor& image_part) {
  const at::Tensor hidden = apply_gelu(fuse_norm(fuse1(features)));
  if (is_probed()) probe("dec.embedding_maskfeature", fuse2(hidden));
  const at::Tensor weights = mlp(answer);  // [B, 1, C]
  const at::Tensor kernel = fuse2->weight.to(weights.scalar_type()).flip({2, 3});
  const at::Tensor taps = at::einsum("bmo,oiyx->byxi", {weights, kernel}).flatten(1, 2);
  const GridSize size = grid_of(features);
  count_flops(2 * taps.size(1) * hidden.numel());
  const at::Tensor own =
      at::col2im(at::bmm(taps, hidden.flatten(2)), {size.height, size.width}, {3, 3}, {1, 1}, {1, 1}, {1, 1});
  return own + weigh(weights, image_part.expand({weights.size(0), -1, -1, -1})) +
         at::matmul(weights, fuse2->bias).unsqueeze(-1).unsqueeze(-1);
}

ChosenMasks choose_masks(const RawMasks& raw, bool multimask, bool hq_token_only) {
  TORCH_CHECK(!hq_token_only || raw.hq.defined(), "HQ mask: this network has no HQ branch");
  const at::Tensor& ious = raw.predicted_ious;
  const at::Tensor best = multimask ? ious.narrow(1, 1, ious.size(1) - 1).argmax(1, /*keepdim=*/true) + 1
                                    : ious.new_zeros({ious.size(0), 1}, at::kLong);  // [B, 1]
  ChosenMasks chosen;
  chosen.scores = ious.gather(1, best).squeeze(1);
  if (hq_token_only) {
    chosen.logits = raw.hq;
    return chosen;
  }
  chosen.logits = raw.sam.take_along_dim(best.view({-1, 1, 1, 1}), 1);
  if (raw.hq.defined()) chosen.logits = chosen.logits + raw.hq;
  return chosen;
}

HqMaskDecoderImpl::HqMaskDecoderImpl(const RefinerDecoderConfig& config, int64_t early_channels)
    : transformer_(
          register_module("transformer", TwoWayTransformer(config.width, config.heads, config.mlp_width))),
      iou_token_(token_at(*this, "iou_token", 1, config.width)),
      mask_tokens_(token_at(*this, "mask_tokens", kMaskTokens, config.width)),
      upscaling_(*this, "output_upscaling", config.width, config.width / 4, config.width / 8),
      iou_head_(register_module("iou_prediction_head", TripleLinear(config.width, kMaskTokens))) {
  for (int64_t i = 0; i < kMaskTokens; ++i) {
    mask_mlps_.push_back(register_at(*this, "output_hypernetworks_mlps." + std::to_string(i),
                                     TripleLinear(config.width, config.width / 8)));
  }
  if (config.hq_branch) hq_.emplace(*this, config.width, early_channels);
}

at::Tensor HqMaskDecoderImpl::hq_features(const ImageFeatures& features) {
  if (!hq_) return {};
  const at::Tensor late = hq_->late.forward(features.embedding), early = hq_->early.forward(features.early);
  probe("dec.embedding_encoder_out", late);
  probe("dec.compress_vit_feat_out", early);
  return late + early;
}

RawMasks HqMaskDecoderImpl::forward(const ImageEmbedding& image, const PromptEmbedding& prompts) {
  const int64_t batch = prompts.sparse.size(0);
  std::vector<at::Tensor> tokens = {iou_token_, mask_tokens_};
  if (hq_) tokens.push_back(hq_->token);
  const at::Tensor questions = at::cat({at::cat(tokens).expand({batch, -1, -1}), prompts.sparse}, 1);
  const GridSize grid = grid_of(image.embedding);
  const auto [answers, cells] = transformer_->forward(to_tokens(image.embedding + prompts.dense),
                                                      to_tokens(image.dense_code), questions);
  probe("dec.transformer_tokens", answers);
  probe("dec.transformer_src", cells);

  // [B, width / 8, 4 h, 4 w]
  const at::Tensor features = apply_gelu(upscaling_.forward(to_map(cells, grid)));
  probe("dec.output_upscaling", features);
  std::vector<at::Tensor> weights;
  for (int64_t i = 0; i < kMaskTokens; ++i) weights.push_back(mask_mlps_[i](answers.select(1, 1 + i)));
  RawMasks raw{weigh(at::stack(weights, 1), features), iou_head_(answers.select(1, 0)), {}};
  if (hq_) {
    raw.hq = hq_->mask(answers.narrow(1, 1 + kMaskTokens, 1), features, image.hq_features);
  }
  return raw;
}

}  // namespace hqtrack
