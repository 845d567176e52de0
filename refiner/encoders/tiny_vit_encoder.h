#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <string>
#include <vector>

#include "core/dense.h"
#include "refiner/encoders/image_encoder.h"

namespace hqtrack {

/// Inverted bottleneck: 1x1, depth-wise 3x3 with a stride, 1x1, GELU between them. With `has_shortcut` the
/// input is added and GELU applied once more. Batch norm is folded into the convolutions.
class TinyVitConvImpl : public torch::nn::Module {
 public:
  TinyVitConvImpl(int64_t in_channels, int64_t inner_channels, int64_t out_channels, int64_t stride,
                  bool has_shortcut);
  at::Tensor forward(const at::Tensor& x);

  Conv2d conv1{nullptr}, conv2{nullptr}, conv3{nullptr};

 private:
  bool has_shortcut_;
};
TORCH_MODULE(TinyVitConv);

/// Attention within windows, with a learned bias for each distance |dy|, |dx|; a depth-wise convolution; a
/// feed-forward part (docs/hqsam.md, section 4).
class TinyVitBlockImpl : public torch::nn::Module {
 public:
  TinyVitBlockImpl(int64_t width, int64_t heads, int64_t window, std::string probe_name);

  /// x [B, h, w, width] -> the same shape.
  at::Tensor forward(const at::Tensor& x);

 private:
  at::Tensor attend_in_windows(const at::Tensor& x);

  int64_t heads_, window_;
  std::string probe_name_;
  torch::nn::LayerNorm norm_{nullptr}, mlp_norm_{nullptr};
  Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
  Conv2d local_conv_{nullptr};
  at::Tensor attention_biases_;  // [heads, window^2]
};
TORCH_MODULE(TinyVitBlock);

/// TinyViT (Wu et al. 2022) as MobileSAM and Light HQ-SAM use it: the last stage stays at stride 16. Batch
/// norm is folded into the convolutions. The early features are the output of the second stage.
class TinyVitEncoder : public ImageEncoder {
 public:
  explicit TinyVitEncoder(const RefinerConfig& config);
  ImageFeatures encode(const at::Tensor& image) override;
  int64_t early_channels() const override { return early_channels_; }

 private:
  struct Stage {
    std::vector<TinyVitConv> conv_blocks;  // the first stage
    std::vector<TinyVitBlock> blocks;      // the others
    TinyVitConv downsample{nullptr};       // all but the last stage
  };
  int64_t early_channels_;
  Conv2d stem1_{nullptr}, stem2_{nullptr};
  std::vector<Stage> stages_;
  std::unique_ptr<Neck> neck_;
};

}  // namespace hqtrack
