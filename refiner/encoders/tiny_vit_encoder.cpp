#include "refiner/encoders/tiny_vit_encoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "core/error.h"
#include "core/layers.h"
#include "core/profile.h"

namespace hqtrack {
namespace {

constexpr size_t kStages = 4;
constexpr int64_t kConvExpansion = 4;  // of the first stage's blocks

Conv2d pointwise(int64_t in_channels, int64_t out_channels) {
  return Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, 1));
}
Conv2d depthwise3x3(int64_t channels, int64_t stride) {
  return Conv2d(torch::nn::Conv2dOptions(channels, channels, 3).stride(stride).padding(1).groups(channels));
}
Conv2d halving3x3(int64_t in_channels, int64_t out_channels) {
  return Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, 3).stride(2).padding(1));
}

// [heads, n^2] -> [1, heads, n^2, n^2]: the entry |dy| n + |dx| for every pair of cells.
at::Tensor unrolled(const at::Tensor& biases, int64_t n) {
  const at::Tensor i = at::arange(n, biases.options().dtype(at::kLong));
  const at::Tensor distance = (i.unsqueeze(1) - i.unsqueeze(0)).abs();
  const at::Tensor entry = distance.view({n, 1, n, 1}) * n + distance.view({1, n, 1, n});
  return biases.index_select(1, entry.flatten()).view({1, biases.size(0), n * n, n * n});
}

void check_sizes(const RefinerConfig& config) {
  const RefinerEncoderConfig& sizes = config.encoder;
  for (const auto& [key, values] : {std::pair("widths", &sizes.widths), std::pair("depths", &sizes.depths),
                                    std::pair("heads", &sizes.heads), std::pair("windows", &sizes.windows)}) {
    if (values->size() == kStages) continue;
    throw ConfigError(std::string("refiner.encoder.") + key + ": expected 4 numbers for tiny_vit, found " +
                      std::to_string(values->size()));
  }
  for (size_t i = 1; i < kStages; ++i) {
    if (sizes.widths[i] % sizes.heads[i] == 0) continue;
    throw ConfigError("refiner.encoder.heads: expected a divisor of the width " +
                      std::to_string(sizes.widths[i]) + " of stage " + std::to_string(i) + ", found " +
                      std::to_string(sizes.heads[i]));
  }
}

}  // namespace

TinyVitConvImpl::TinyVitConvImpl(int64_t in_channels, int64_t inner_channels, int64_t out_channels,
                                 int64_t stride, bool has_shortcut)
    : conv1(register_module("conv1", pointwise(in_channels, inner_channels))),
      conv2(register_module("conv2", depthwise3x3(inner_channels, stride))),
      conv3(register_module("conv3", pointwise(inner_channels, out_channels))),
      has_shortcut_(has_shortcut) {}

at::Tensor TinyVitConvImpl::forward(const at::Tensor& x) {
  at::Tensor y = conv3(apply_gelu(conv2(apply_gelu(conv1(x)))));
  return has_shortcut_ ? apply_gelu(y += x) : y;
}

TinyVitBlockImpl::TinyVitBlockImpl(int64_t width, int64_t heads, int64_t window, std::string probe_name)
    : heads_(heads), window_(window), probe_name_(std::move(probe_name)) {
  torch::nn::Module &attention = group_at(*this, "attn"), &mlp = group_at(*this, "mlp");
  norm_ = attention.register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
  qkv_ = attention.register_module("qkv", Linear(width, 3 * width));
  proj_ = attention.register_module("proj", Linear(width, width));
  attention_biases_ = attention.register_parameter("attention_biases", at::zeros({heads, window * window}));
  local_conv_ = register_module("local_conv", depthwise3x3(width, 1));
  mlp_norm_ = mlp.register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
  fc1_ = mlp.register_module("fc1", Linear(width, 4 * width));
  fc2_ = mlp.register_module("fc2", Linear(4 * width, width));
}

at::Tensor TinyVitBlockImpl::attend_in_windows(const at::Tensor& x) {
  const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t n = window_, d = channels / heads_;
  const int64_t down = (height + n - 1) / n, across = (width + n - 1) / n;
  at::Tensor windows = x;
  if (down * n != height || across * n != width) {
    windows = at::constant_pad_nd(windows, {0, 0, 0, across * n - width, 0, down * n - height});
  }
  windows = windows.reshape({batch, down, n, across, n, channels}).permute({0, 1, 3, 2, 4, 5});
  // The norm comes after the padding, whose cells thereby get its bias; they are not masked.
  const at::Tensor normed = norm_(windows.reshape({-1, n * n, channels}));
  // [windows, heads, n^2, q | k | v]
  const at::Tensor qkv = qkv_(normed).view({-1, n * n, heads_, 3 * d}).transpose(1, 2);
  count_flops(4 * normed.numel() * n * n);
  const at::Tensor attended = at::scaled_dot_product_attention(
      qkv.narrow(3, 0, d), qkv.narrow(3, d, d), qkv.narrow(3, 2 * d, d), unrolled(attention_biases_, n));
  const at::Tensor joined = proj_(attended.transpose(1, 2).reshape({-1, n * n, channels}))
                                .view({batch, down, across, n, n, channels})
                                .permute({0, 1, 3, 2, 4, 5})
                                .reshape({batch, down * n, across * n, channels});
  return joined.narrow(1, 0, height).narrow(2, 0, width);
}

at::Tensor TinyVitBlockImpl::forward(const at::Tensor& x) {
  at::Tensor y = attend_in_windows(x);
  y += x;
  const at::Tensor z = local_conv_(y.permute({0, 3, 1, 2})).permute({0, 2, 3, 1});
  at::Tensor out = fc2_(apply_gelu(fc1_(mlp_norm_(z))));
  out += z;
  probe(probe_name_, out.flatten(1, 2));
  return out;
}

TinyVitEncoder::TinyVitEncoder(const RefinerConfig& config) {
  check_sizes(config);
  const RefinerEncoderConfig& sizes = config.encoder;
  early_channels_ = sizes.widths[2];
  stem1_ = register_at(*this, "patch_embed.seq.0", halving3x3(3, sizes.widths[0] / 2));
  stem2_ = register_at(*this, "patch_embed.seq.2", halving3x3(sizes.widths[0] / 2, sizes.widths[0]));
  for (size_t i = 0; i < kStages; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const int64_t width = sizes.widths[i];
    Stage& stage = stages_.emplace_back();
    for (int64_t j = 0; j < sizes.depths[i]; ++j) {
      const std::string block = layer + "blocks." + std::to_string(j);
      if (i == 0) {
        stage.conv_blocks.push_back(
            register_at(*this, block, TinyVitConv(width, kConvExpansion * width, width, 1, true)));
      } else {
        stage.blocks.push_back(
            register_at(*this, block,
                        TinyVitBlock(width, sizes.heads[i], sizes.windows[i],
                                     "enc.layer" + std::to_string(i) + "_block" + std::to_string(j))));
      }
    }
    if (i + 1 == kStages) break;
    const int64_t next = sizes.widths[i + 1], stride = i + 2 == kStages ? 1 : 2;
    stage.downsample =
        register_at(*this, layer + "downsample", TinyVitConv(width, next, next, stride, false));
  }
  neck_ = std::make_unique<Neck>(*this, sizes.widths.back(), config.decoder.width);
}

ImageFeatures TinyVitEncoder::encode(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 4 && image.size(1) == 3 && image.size(2) % 16 == 0 && image.size(3) % 16 == 0,
              "TinyViT encoder: expected an image [B, 3, 16 k, 16 k], found ", image.sizes());
  ImageFeatures features;
  at::Tensor map = stem2_(apply_gelu(stem1_(image)));
  probe("enc.patch_embed", map);
  for (size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = stages_[i];
    const std::string name = "enc.layer" + std::to_string(i);
    for (size_t j = 0; j < stage.conv_blocks.size(); ++j) {
      map = stage.conv_blocks[j](map);
      probe(name + "_block" + std::to_string(j), map);
    }
    if (!stage.blocks.empty()) {
      at::Tensor cells = map.permute({0, 2, 3, 1});
      for (TinyVitBlock& block : stage.blocks) cells = block(cells);
      map = cells.permute({0, 3, 1, 2});
    }
    if (!stage.downsample.is_empty()) map = stage.downsample(map);
    probe(name, to_tokens(map));
    if (i == 1) features.early = map;
  }
  features.embedding = neck_->forward(map);
  return features;
}

}  // namespace hqtrack
