#include "tracker/encoders/internimage.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

#include <string>

#include "core/error.h"
#include "tracker/encoders/dcnv3.h"
#include "tracker/layers.h"

namespace hqtrack {
namespace {

constexpr int64_t kKernel = 3, kPoints = kKernel * kKernel;

torch::nn::LayerNorm layer_norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-6));
}

Conv2d conv_stride2(int64_t in, int64_t out, bool has_bias) {
  return Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(has_bias));
}

// Convolution of a map kept as [B, h, w, C].
at::Tensor convolve(Conv2d& conv, const at::Tensor& x) {
  return conv(x.permute({0, 3, 1, 2})).permute({0, 2, 3, 1}).contiguous();
}

}  // namespace

Dcnv3LayerImpl::Dcnv3LayerImpl(int64_t channels, int64_t groups) : groups_(groups) {
  depthwise = register_at(
      *this, "dw_conv.0",
      Conv2d(torch::nn::Conv2dOptions(channels, channels, kKernel).padding(kKernel / 2).groups(channels)));
  norm = register_at(*this, "dw_conv.1.1", layer_norm(channels));
  offset = register_module("offset", Linear(channels, groups * kPoints * 2));
  mask = register_module("mask", Linear(channels, groups * kPoints));
  input_proj = register_module("input_proj", Linear(channels, channels));
  output_proj = register_module("output_proj", Linear(channels, channels));
}

at::Tensor Dcnv3LayerImpl::forward(const at::Tensor& x) {
  const at::Tensor query = at::gelu(norm(depthwise(x.permute({0, 3, 1, 2})).permute({0, 2, 3, 1})));
  const at::Tensor weights = at::softmax(mask(query).unflatten(-1, {groups_, kPoints}), -1).flatten(-2);
  return output_proj(dcnv3(input_proj(x), offset(query), weights, Dcnv3Options{.groups = groups_}));
}

InternImageBlockImpl::InternImageBlockImpl(int64_t channels, int64_t groups) {
  norm1 = register_at(*this, "norm1.0", layer_norm(channels));
  norm2 = register_at(*this, "norm2.0", layer_norm(channels));
  dcn = register_module("dcn", Dcnv3Layer(channels, groups));
  fc1 = register_at(*this, "mlp.fc1", Linear(channels, 4 * channels));
  fc2 = register_at(*this, "mlp.fc2", Linear(4 * channels, channels));
  gamma1 = register_parameter("gamma1", at::ones({channels}));
  gamma2 = register_parameter("gamma2", at::ones({channels}));
}

at::Tensor InternImageBlockImpl::forward(at::Tensor x) {
  x = x + gamma1 * dcn(norm1(x));
  return x + gamma2 * fc2(at::gelu(fc1(norm2(x))));
}

InternImage::InternImage(const EncoderConfig& config) : channels_(config.channels) {
  if (config.depths.size() != 4 || config.groups.size() != 4) {
    throw ConfigError("tracker.encoder: expected 4 depths and 4 groups, found " +
                      std::to_string(config.depths.size()) + " and " + std::to_string(config.groups.size()));
  }
  stem_conv1_ = register_at(*this, "patch_embed.conv1", conv_stride2(3, channels_ / 2, true));
  stem_norm1_ = register_at(*this, "patch_embed.norm1.1", layer_norm(channels_ / 2));
  stem_conv2_ = register_at(*this, "patch_embed.conv2", conv_stride2(channels_ / 2, channels_, true));
  stem_norm2_ = register_at(*this, "patch_embed.norm2.1", layer_norm(channels_));
  for (int i = 0; i < 4; ++i) {
    const std::string name = "levels." + std::to_string(i) + ".";
    const int64_t channels = channels_ << std::min(i, 2), groups = config.groups[i];
    if (channels % groups != 0) {
      throw ConfigError("tracker.encoder.groups: expected a divisor of " + std::to_string(channels) +
                        ", found " + std::to_string(groups));
    }
    Level level;
    for (int64_t j = 0; j < config.depths[i]; ++j) {
      level.blocks.push_back(
          register_at(*this, name + "blocks." + std::to_string(j), InternImageBlock(channels, groups)));
    }
    level.norm = register_at(*this, name + "norm.0", layer_norm(channels));
    if (i < 2) {
      level.downsample =
          register_at(*this, name + "downsample.conv", conv_stride2(channels, 2 * channels, false));
      level.downsample_norm = register_at(*this, name + "downsample.norm.1", layer_norm(2 * channels));
    }
    levels_.push_back(std::move(level));
  }
}

Features InternImage::encode(const at::Tensor& image) {
  at::Tensor x = stem_conv1_(image).permute({0, 2, 3, 1}).contiguous();
  x = stem_norm2_(convolve(stem_conv2_, at::gelu(stem_norm1_(x))));
  probe("enc.patch_embed", x);
  at::Tensor outputs[4];
  for (size_t i = 0; i < levels_.size(); ++i) {
    Level& level = levels_[i];
    for (size_t j = 0; j < level.blocks.size(); ++j) {
      if (is_probed() && i == 0) {
        const std::string name = "enc.l0b" + std::to_string(j);
        probe(name + "_dcn", level.blocks[j]->dcn(level.blocks[j]->norm1(x)));
        x = level.blocks[j](x);
        probe(name, x);
      } else {
        x = level.blocks[j](x);
      }
    }
    x = level.norm(x);
    outputs[i] = x.permute({0, 3, 1, 2});
    probe("enc.level" + std::to_string(i), outputs[i]);
    if (!level.downsample.is_empty()) x = level.downsample_norm(convolve(level.downsample, x));
  }
  return {outputs[0], outputs[1], outputs[3]};
}

}  // namespace hqtrack
