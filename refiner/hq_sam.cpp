#include "refiner/hq_sam.h"

#include <string>

#include "core/error.h"
#include "core/layers.h"

namespace hqtrack {
namespace {

void check_sizes(const RefinerDecoderConfig& config) {
  if (config.width % 32 != 0) {
    throw ConfigError("refiner.decoder.width: expected a multiple of 32, found " +
                      std::to_string(config.width));
  }
  if (config.width / 2 % config.heads != 0) {
    throw ConfigError("refiner.decoder.heads: expected a divisor of half the width " +
                      std::to_string(config.width) + ", found " + std::to_string(config.heads));
  }
}

}  // namespace

HqSamImpl::HqSamImpl(const RefinerConfig& config) {
  check_sizes(config.decoder);
  image_encoder_ = register_module("image_encoder", make_image_encoder(config));
  prompt_encoder_ = register_module("prompt_encoder", PromptEncoder(config.decoder.width, config.image_size));
  mask_decoder_ =
      register_module("mask_decoder", HqMaskDecoder(config.decoder, image_encoder_->early_channels()));
}

ImageEmbedding HqSamImpl::embed_image(const at::Tensor& image) {
  const std::vector<at::Tensor> maps = encoding_.run(image, [&](const at::Tensor& input) {
    const ImageFeatures encoded = image_encoder_->encode(input);
    return std::vector<at::Tensor>{encoded.embedding, encoded.early};
  });
  const ImageFeatures features{.embedding = maps[0], .early = maps[1]};
  probe("enc.image_embeddings", features.embedding);
  probe("enc.interm0", features.early.permute({0, 2, 3, 1}));
  return embed_features(features);
}

ImageEmbedding HqSamImpl::embed_features(const ImageFeatures& features) {
  ImageEmbedding image;
  image.embedding = features.embedding;
  image.dense_code = prompt_encoder_->dense_code(grid_of(features.embedding));
  image.hq_features = mask_decoder_->hq_features(features);
  return image;
}

RawMasks HqSamImpl::decode(const ImageEmbedding& image, const Prompts& prompts) {
  const PromptEmbedding embedding = prompt_encoder_->forward(prompts);
  probe("dec.sparse", embedding.sparse);
  probe("dec.dense", embedding.dense);
  return mask_decoder_->forward(image, embedding);
}

at::Device HqSamImpl::device() const { return prompt_encoder_->device(); }

}  // namespace hqtrack
