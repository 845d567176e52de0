#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <vector>

#include "core/dense.h"
#include "tracker/encoders/encoder.h"

namespace hqtrack {

/// DCNv3 with its projections (Wang et al., InternImage, section 3.1; docs/vmos.md, section 2). [B, h, w, C]
/// -> same.
class Dcnv3LayerImpl : public torch::nn::Module {
 public:
  Dcnv3LayerImpl(int64_t channels, int64_t groups);
  at::Tensor forward(const at::Tensor& x);

  Conv2d depthwise{nullptr};
  torch::nn::LayerNorm norm{nullptr};
  Linear offset{nullptr}, mask{nullptr}, input_proj{nullptr}, output_proj{nullptr};

 private:
  int64_t groups_;
};
TORCH_MODULE(Dcnv3Layer);

/// Pre-norm block with layer scale: x += gamma1 * DCN(LN(x)); x += gamma2 * MLP(LN(x)). [B, h, w, C] -> same.
class InternImageBlockImpl : public torch::nn::Module {
 public:
  InternImageBlockImpl(int64_t channels, int64_t groups);
  at::Tensor forward(at::Tensor x);

  torch::nn::LayerNorm norm1{nullptr}, norm2{nullptr};
  Dcnv3Layer dcn{nullptr};
  Linear fc1{nullptr}, fc2{nullptr};
  at::Tensor gamma1, gamma2;
};
TORCH_MODULE(InternImageBlock);

/// InternImage as HQTrack modifies it: four levels, the last of which stays at stride 16 with the third's
/// channels. Features: the normalised outputs of levels 0 (stride 4), 1 (stride 8) and 3 (stride 16).
class InternImage : public Encoder {
 public:
  explicit InternImage(const EncoderConfig& config);
  Features encode(const at::Tensor& image) override;
  std::array<int64_t, 3> channels() const override { return {channels_, 2 * channels_, 4 * channels_}; }

 private:
  struct Level {
    std::vector<InternImageBlock> blocks;
    torch::nn::LayerNorm norm{nullptr};
    Conv2d downsample{nullptr};  // levels 0 and 1
    torch::nn::LayerNorm downsample_norm{nullptr};
  };
  int64_t channels_;
  Conv2d stem_conv1_{nullptr}, stem_conv2_{nullptr};
  torch::nn::LayerNorm stem_norm1_{nullptr}, stem_norm2_{nullptr};
  std::vector<Level> levels_;
};

}  // namespace hqtrack
