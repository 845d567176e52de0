#include "bench/baseline/plain_refiner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "refiner/box_prompts.h"
#include "refiner/preprocess.h"

namespace hqtrack::baseline {
namespace {

constexpr double kEps = 1e-6;

// [n, n, d]: entry (i, j) is the table's row for query i and key j.
at::Tensor unrolled(const at::Tensor& table, int64_t n) {
  const at::Tensor i = at::arange(n, table.options().dtype(at::kLong));
  return table.index({i.unsqueeze(1) - i.unsqueeze(0) + (n - 1)});
}

}  // namespace

PlainVit::PlainVit(const HqSamImpl& network, const RefinerConfig& config)
    : weights_(network), config_(config) {}

// windows [b, n, n, C] -> the same.
at::Tensor PlainVit::attend(const std::string& name, const at::Tensor& windows) const {
  const int64_t b = windows.size(0), n = windows.size(1), channels = windows.size(3),
                heads = config_.encoder.heads[0], d = channels / heads;
  // [q | k | v, b, heads, n n, d]
  const at::Tensor qkv =
      weights_.linear(name + "attn.qkv", windows).view({b, n * n, 3, heads, d}).permute({2, 0, 3, 1, 4});
  const at::Tensor q = qkv[0], cells = q.reshape({b * heads, n, n, d});
  at::Tensor scores = at::matmul(q / std::sqrt(static_cast<double>(d)), qkv[1].transpose(2, 3));
  const at::Tensor rows = at::einsum("byxd,ykd->byxk",
                                     {cells, unrolled(weights_.at(name + "attn.rel_pos_h"), n)}),
                   columns = at::einsum("byxd,xkd->byxk",
                                        {cells, unrolled(weights_.at(name + "attn.rel_pos_w"), n)});
  scores = (scores.view({b * heads, n, n, n, n}) + rows.unsqueeze(4) + columns.unsqueeze(3))
               .view({b, heads, n * n, n * n});
  const at::Tensor attended = at::matmul(at::softmax(scores, -1), qkv[2]);
  return weights_.linear(name + "attn.proj", attended.transpose(1, 2).reshape({b, n, n, channels}));
}

at::Tensor PlainVit::block(int64_t i, const at::Tensor& x) const {
  const std::string name = "image_encoder.blocks." + std::to_string(i) + ".";
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const bool is_global =
      std::ranges::find(config_.encoder.global_blocks, i) != config_.encoder.global_blocks.end();
  at::Tensor y = weights_.layer_norm(name + "norm1", x, kEps);
  if (is_global) {
    y = attend(name, y);
  } else {
    const int64_t n = config_.encoder.windows[0], down = (height + n - 1) / n, across = (width + n - 1) / n;
    y = at::constant_pad_nd(y, {0, 0, 0, across * n - width, 0, down * n - height});
    y = attend(name,
               y.view({down, n, across, n, channels}).permute({0, 2, 1, 3, 4}).reshape({-1, n, n, channels}));
    y = y.view({down, across, n, n, channels})
            .permute({0, 2, 1, 3, 4})
            .reshape({1, down * n, across * n, channels});
    y = y.narrow(1, 0, height).narrow(2, 0, width);
  }
  y = x + y;
  const at::Tensor wide =
      at::gelu(weights_.linear(name + "mlp.lin1", weights_.layer_norm(name + "norm2", y, kEps)));
  return y + weights_.linear(name + "mlp.lin2", wide);
}

ImageFeatures PlainVit::encode(const at::Tensor& image) const {
  const int64_t first_global = std::ranges::min(config_.encoder.global_blocks);
  ImageFeatures features;
  at::Tensor x = weights_.conv("image_encoder.patch_embed.proj", image, 16).permute({0, 2, 3, 1}) +
                 weights_.at("image_encoder.pos_embed");
  for (int64_t i = 0; i < config_.encoder.depths[0]; ++i) {
    x = block(i, x);
    if (i == first_global) features.early = x.permute({0, 3, 1, 2});
  }
  const auto normed = [&](const std::string& layer, const at::Tensor& map) {
    return weights_.layer_norm(layer, map.permute({0, 2, 3, 1}), kEps).permute({0, 3, 1, 2});
  };
  const std::string neck = "image_encoder.neck.";
  x = normed(neck + "1", weights_.conv(neck + "0", x.permute({0, 3, 1, 2})));
  features.embedding = normed(neck + "3", weights_.conv(neck + "2", x, 1, 1));
  return features;
}

PlainRefiner::PlainRefiner(HqSam network, const RefinerConfig& config)
    : network_(std::move(network)), encoder_(*network_, config), config_(config) {}

std::vector<MaskProposal> PlainRefiner::refine(const at::Tensor& image, const at::Tensor& label_mask) {
  const c10::InferenceMode guard;
  const GridSize size{image.size(0), image.size(1)}, resized = resized_size(size, config_.image_size);
  const BoxPrompts boxes = box_prompts(label_mask, config_);
  std::vector<MaskProposal> proposals;
  for (size_t i = 0; i < boxes.ids.size(); ++i) {
    const at::Tensor input =
        network_input(image, resized, network_->input_form(), config_.image_size, network_->device());
    ImageEmbedding embedding = network_->embed_features(encoder_.encode(input));
    Prompts box{.boxes = boxes.prompts.boxes.narrow(0, static_cast<int64_t>(i), 1),
                .points = {},
                .labels = {},
                .masks = {}};
    box = to_resized(box, size, resized);
    box.boxes = box.boxes.to(network_->device());
    const ChosenMasks chosen =
        choose_masks(network_->decode(embedding, box), config_.multimask, config_.hq_token_only);
    const at::Tensor padded = at::upsample_bilinear2d(chosen.logits, {config_.image_size, config_.image_size},
                                                      /*align_corners=*/false);
    const at::Tensor picture = padded.narrow(2, 0, resized.height).narrow(3, 0, resized.width);
    const at::Tensor logits =
        at::upsample_bilinear2d(picture, {size.height, size.width}, /*align_corners=*/false);
    proposals.push_back({boxes.ids[i], logits[0][0].to(at::kCPU), chosen.scores[0].item<double>()});
  }
  return proposals;
}

}  // namespace hqtrack::baseline
