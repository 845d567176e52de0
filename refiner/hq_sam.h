#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>

#include "core/config.h"
#include "core/recording.h"
#include "refiner/encoders/image_encoder.h"
#include "refiner/hq_mask_decoder.h"
#include "refiner/prompt_encoder.h"

namespace hqtrack {

/// Segment Anything in High Quality (Ke et al. 2023), Segment Anything without the HQ branch (Kirillov et al.
/// 2023), and their light forms with TinyViT; docs/hqsam.md, sections 3 to 6. Stateless and differentiable.
class HqSamImpl : public torch::nn::Module {
 public:
  /// Builds the network with random weights. Throws ConfigError for sizes that do not fit together.
  explicit HqSamImpl(const RefinerConfig& config);

  /// Once an image: [1, 3, h, w] in the encoder's form (refiner/preprocess.h).
  ImageEmbedding embed_image(const at::Tensor& image);
  /// The same from the encoder's features.
  ImageEmbedding embed_features(const ImageFeatures& features);

  /// As often as something is asked about it: prompts in pixels of the network's input.
  RawMasks decode(const ImageEmbedding& image, const Prompts& prompts);

  InputForm input_form() const { return image_encoder_->input_form(); }
  at::Device device() const;

 private:
  Recording encoding_;
  std::shared_ptr<ImageEncoder> image_encoder_;
  PromptEncoder prompt_encoder_{nullptr};
  HqMaskDecoder mask_decoder_{nullptr};
};
TORCH_MODULE(HqSam);

}  // namespace hqtrack
