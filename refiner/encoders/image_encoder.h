#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>

#include <array>
#include <cstdint>
#include <memory>

#include "core/config.h"
#include "core/dense.h"
#include "refiner/layers.h"

namespace hqtrack {

/// What HQ-SAM sees in an image, on the grid of stride 16.
struct ImageFeatures {
  at::Tensor embedding;  // [B, decoder width, h, w]
  at::Tensor early;      // [B, early_channels(), h, w]: fine detail for the HQ branch
};

/// How a picture becomes an encoder's input (docs/hqsam.md, section 2).
struct InputForm {
  std::array<float, 3> mean = {123.675f, 116.28f, 103.53f}, std = {58.395f, 57.12f, 57.375f};  // RGB, 0..255
  bool is_square = true;  // padded to image_size x image_size, else to the next multiples of 16
  int64_t shift_px = 0;   // the first rows and columns that are left out, so that all others move
};

/// What HQ-SAM needs of an image backbone.
class ImageEncoder : public torch::nn::Module {
 public:
  /// image [B, 3, h, w] in the encoder's own form.
  virtual ImageFeatures encode(const at::Tensor& image) = 0;
  virtual int64_t early_channels() const = 0;
  virtual InputForm input_form() const { return {}; }
};

/// Throws ConfigError for an unknown type and for sizes that do not fit together.
std::shared_ptr<ImageEncoder> make_image_encoder(const RefinerConfig& config);

/// From the encoder's width to the decoder's: 1x1 and 3x3 convolution, each with a channel norm. Weights:
/// `neck.0` to `neck.3` of the encoder.
class Neck {
 public:
  Neck(torch::nn::Module& encoder, int64_t in_channels, int64_t out_channels);
  at::Tensor forward(const at::Tensor& map);

 private:
  Conv2d reduce_, smooth_;
  ChannelNorm reduce_norm_, smooth_norm_;
};

}  // namespace hqtrack
