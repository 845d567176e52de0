#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/dense.h"
#include "refiner/encoders/image_encoder.h"
#include "refiner/layers.h"
#include "refiner/prompt_encoder.h"
#include "refiner/two_way_transformer.h"

namespace hqtrack {

/// What the mask decoder needs of an image, whatever is asked about it.
struct ImageEmbedding {
  at::Tensor embedding;    // [1, width, h, w] at stride 16
  at::Tensor dense_code;   // [1, width, h, w]: PromptEncoder::dense_code
  at::Tensor hq_features;  // [1, width / 8, 4 h, 4 w]; undefined without an HQ branch
  GridSize image_size;     // of the picture, in pixels; set by Refiner
  GridSize resized_size;   // of the picture in the network's input; set by Refiner
  /// Of the network's input, in pixels.
  GridSize input_size() const { return {16 * embedding.size(2), 16 * embedding.size(3)}; }
};

/// Everything the decoder has to say about B prompts.
struct RawMasks {
  at::Tensor sam;  // [B, 4, 4 h, 4 w] logits: one mask for the whole, three for an ambiguous prompt
  at::Tensor predicted_ious;  // [B, 4]: an estimate, may lie outside 0..1
  at::Tensor hq;              // [B, 1, 4 h, 4 w] logits; undefined without an HQ branch
};

/// One mask for each prompt.
struct ChosenMasks {
  at::Tensor logits;  // [B, 1, 4 h, 4 w]
  at::Tensor scores;  // [B]: predicted IoU of the SAM mask in it
};

/// multimask: the SAM mask is the best of masks 1 to 3 by predicted IoU, else mask 0. The HQ mask is added to
/// it, or with hq_token_only stands alone (docs/hqsam.md, section 6).
ChosenMasks choose_masks(const RawMasks& raw, bool multimask, bool hq_token_only);

/// Twice the resolution, channel norm, GELU, twice the resolution. Weights: `NAME.0`, `NAME.1`, `NAME.3`.
class Upscaling {
 public:
  Upscaling(torch::nn::Module& parent, const std::string& name, int64_t in_channels, int64_t inner_channels,
            int64_t out_channels);
  at::Tensor forward(const at::Tensor& map);

 private:
  ConvTranspose2d first_, second_;
  ChannelNorm norm_;
};

/// SAM's mask decoder with the HQ token and the fusion of early and late features (Ke et al., "Segment
/// Anything in High Quality", section 3.2; docs/hqsam.md, section 6). Without the HQ branch it is SAM's own.
class HqMaskDecoderImpl : public torch::nn::Module {
 public:
  HqMaskDecoderImpl(const RefinerDecoderConfig& config, int64_t early_channels);

  /// The image's part of the HQ mask: [1, width / 8, 4 h, 4 w]; undefined without an HQ branch.
  at::Tensor hq_features(const ImageFeatures& features);

  RawMasks forward(const ImageEmbedding& image, const PromptEmbedding& prompts);

 private:
  struct HqBranch {
    HqBranch(torch::nn::Module& decoder, int64_t width, int64_t early_channels);
    /// answer [B, 1, width] of the HQ token, features [B, width / 8, h, w] of the SAM masks, image_part [1 or
    /// B, width / 8, h, w] -> logits [B, 1, h, w].
    at::Tensor mask(const at::Tensor& answer, const at::Tensor& features, const at::Tensor& image_part);

    at::Tensor token;  // [1, width]
    TripleLinear mlp;
    Upscaling early, late;
    Conv2d fuse1, fuse2;
    ChannelNorm fuse_norm;
  };

  TwoWayTransformer transformer_;
  at::Tensor iou_token_, mask_tokens_;
  Upscaling upscaling_;
  std::vector<TripleLinear> mask_mlps_;
  TripleLinear iou_head_{nullptr};
  std::optional<HqBranch> hq_;  // none: plain SAM
};
TORCH_MODULE(HqMaskDecoder);

}  // namespace hqtrack
