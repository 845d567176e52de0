#pragma once

#include <torch/nn/module.h>

#include <array>
#include <cstdint>
#include <memory>

#include "core/config.h"

namespace hqtrack {

/// Image features [B, C, h, w] at three strides.
struct Features {
  at::Tensor stride_4, stride_8, stride_16;
};

/// What VMOS needs of an image backbone. To add one: docs/adding_an_encoder.md.
class Encoder : public torch::nn::Module {
 public:
  /// image [B, 3, H, W], normalised, H and W of the form 16 k + 1. Feature edges are (edge - 1) / stride + 1.
  virtual Features encode(const at::Tensor& image) = 0;
  /// Channels at stride 4, 8 and 16.
  virtual std::array<int64_t, 3> channels() const = 0;
};

/// Throws ConfigError for an unknown type.
std::shared_ptr<Encoder> make_encoder(const EncoderConfig& config);

}  // namespace hqtrack
