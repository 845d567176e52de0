#include "refiner/encoders/vit_encoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/attention.h"
#include "core/error.h"
#include "core/layers.h"
#include "core/profile.h"

namespace hqtrack {
namespace {

constexpr int64_t kStride = 16;  // pixels an edge of a cell

torch::nn::LayerNorm layer_norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-6));
}

// [n, n, d]: entry (i, j) is the table's row for query i and key j.
at::Tensor unrolled(const at::Tensor& table, int64_t n) {
  const at::Tensor i = at::arange(n, table.options().dtype(at::kLong));
  const at::Tensor distance = i.unsqueeze(1) - i.unsqueeze(0) + (n - 1);
  return table.index_select(0, distance.flatten()).view({n, n, table.size(1)});
}

void check_sizes(const RefinerConfig& config) {
  const RefinerEncoderConfig& encoder = config.encoder;
  for (const auto& [key, values] :
       {std::pair("widths", &encoder.widths), std::pair("depths", &encoder.depths),
        std::pair("heads", &encoder.heads), std::pair("windows", &encoder.windows)}) {
    if (values->size() == 1) continue;
    throw ConfigError(std::string("refiner.encoder.") + key + ": expected 1 number for vit, found " +
                      std::to_string(values->size()));
  }
  if (encoder.widths[0] % encoder.heads[0] != 0) {
    throw ConfigError("refiner.encoder.heads: expected a divisor of the width " +
                      std::to_string(encoder.widths[0]) + ", found " + std::to_string(encoder.heads[0]));
  }
  if (encoder.global_blocks.empty() || std::ranges::max(encoder.global_blocks) >= encoder.depths[0]) {
    throw ConfigError(
        "refiner.encoder.global_blocks: expected blocks from 0 to " + std::to_string(encoder.depths[0] - 1) +
        ", found " +
        (encoder.global_blocks.empty() ? "none" : std::to_string(std::ranges::max(encoder.global_blocks))));
  }
  if (config.image_size % kStride != 0) {
    throw ConfigError("refiner.image_size: expected a multiple of 16, found " +
                      std::to_string(config.image_size));
  }
}

}  // namespace

at::Tensor attend_with_positions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const at::Tensor& rows, const at::Tensor& columns, double scale,
                                 Precision precision) {
  // The scores will be scaled: what is not to be scaled is divided first.
  const int64_t n = q.size(1);
  const at::Tensor of_rows = at::einsum("byxd,ykd->byxk", {q, unrolled(rows / scale, n)});
  const at::Tensor of_columns = at::einsum("byxd,xkd->byxk", {q, unrolled(columns / scale, n)});
  count_flops(4 * q.numel() * n);
  const auto tokens = [](const at::Tensor& cells) { return cells.flatten(1, 2); };
  return attend_to_map(tokens(q), tokens(k), tokens(v), tokens(of_rows), tokens(of_columns), scale,
                       precision)
      .view(q.sizes());
}

VitBlockImpl::VitBlockImpl(int64_t width, int64_t heads, int64_t window, std::string probe_name)
    : heads_(heads), window_(window), probe_name_(std::move(probe_name)) {
  norm1_ = register_module("norm1", layer_norm(width));
  torch::nn::Module& attention = group_at(*this, "attn");
  qkv_ = attention.register_module("qkv", Linear(width, 3 * width));
  proj_ = attention.register_module("proj", Linear(width, width));
  rel_pos_h_ = attention.register_parameter("rel_pos_h", at::zeros({2 * window - 1, width / heads}));
  rel_pos_w_ = attention.register_parameter("rel_pos_w", at::zeros({2 * window - 1, width / heads}));
  norm2_ = register_module("norm2", layer_norm(width));
  lin1_ = register_at(*this, "mlp.lin1", Linear(width, 4 * width));
  lin2_ = register_at(*this, "mlp.lin2", Linear(4 * width, width));
}

at::Tensor VitBlockImpl::attend_in_windows(const at::Tensor& x) {
  const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t n = window_, d = channels / heads_;
  const int64_t down = (height + n - 1) / n, across = (width + n - 1) / n;
  at::Tensor qkv = qkv_(x);
  if (down * n != height || across * n != width) {
    // The cells of the padding are zeros of this layer's input and are not masked: they get the bias.
    const at::Tensor padded = qkv_->bias.repeat({batch, down * n, across * n, 1});
    padded.narrow(1, 0, height).narrow(2, 0, width).copy_(qkv);
    qkv = padded;
  }
  // [q | k | v, B, down, across, heads, n, n, d]
  const at::Tensor parts =
      qkv.view({batch, down, n, across, n, 3, heads_, d}).permute({5, 0, 1, 3, 6, 2, 4, 7});
  const auto part = [&](int64_t i) { return parts[i].reshape({-1, n, n, d}); };
  const at::Tensor attended =
      attend_with_positions(part(0), part(1), part(2), rel_pos_h_, rel_pos_w_, 1 / std::sqrt(d), qkv_->precision)
          .view({batch, down, across, heads_, n, n, d});
  if (is_probed()) {
    probe(probe_name_ + "_attn",
          proj_(attended.permute({0, 1, 2, 4, 5, 3, 6}).reshape({-1, n, n, channels})));
  }
  const at::Tensor joined =
      attended.permute({0, 1, 4, 2, 5, 3, 6}).reshape({batch, down * n, across * n, channels});
  return proj_(joined.narrow(1, 0, height).narrow(2, 0, width));
}

at::Tensor VitBlockImpl::forward(const at::Tensor& x) {
  at::Tensor y = attend_in_windows(norm1_(x));
  y += x;
  at::Tensor z = lin2_(apply_gelu(lin1_(norm2_(y))));
  z += y;
  probe(probe_name_, z);
  return z;
}

VitEncoder::VitEncoder(const RefinerConfig& config) {
  check_sizes(config);
  const RefinerEncoderConfig& sizes = config.encoder;
  const int64_t width = sizes.widths[0], grid = config.image_size / kStride;
  first_global_block_ = static_cast<size_t>(std::ranges::min(sizes.global_blocks));
  patch_embed_ = register_at(*this, "patch_embed.proj",
                             Conv2d(torch::nn::Conv2dOptions(3, width, kStride).stride(kStride)));
  pos_embed_ = register_parameter("pos_embed", at::zeros({1, grid, grid, width}));
  for (int64_t i = 0; i < sizes.depths[0]; ++i) {
    const bool is_global = std::ranges::find(sizes.global_blocks, i) != sizes.global_blocks.end();
    blocks_.push_back(register_at(*this, "blocks." + std::to_string(i),
                                  VitBlock(width, sizes.heads[0], is_global ? grid : sizes.windows[0],
                                           "enc.block" + std::to_string(i))));
  }
  neck_ = std::make_unique<Neck>(*this, width, config.decoder.width);
}

ImageFeatures VitEncoder::encode(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 4 && image.size(1) == 3 && image.size(2) == kStride * pos_embed_.size(1) &&
                  image.size(3) == kStride * pos_embed_.size(2),
              "ViT encoder: expected an image [B, 3, ", kStride * pos_embed_.size(1), ", ",
              kStride * pos_embed_.size(2), "], found ", image.sizes());
  ImageFeatures features;
  const at::Tensor patches = patch_embed_(image).permute({0, 2, 3, 1});  // [B, h, w, width]
  probe("enc.patch_embed", patches);
  at::Tensor x = patches + pos_embed_;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](x);
    if (i == first_global_block_) features.early = x.permute({0, 3, 1, 2});
  }
  features.embedding = neck_->forward(x.permute({0, 3, 1, 2}));
  return features;
}

}  // namespace hqtrack
