#include "refiner/encoders/efficientnet_image_encoder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/pixel_unshuffle.h>

#include "core/layers.h"

namespace hqtrack {

EfficientNetImageEncoder::EfficientNetImageEncoder(const RefinerConfig& config)
    : trunk_(*this), neck_(*this, EfficientNetLite0::kChannels16x, config.decoder.width) {}

ImageFeatures EfficientNetImageEncoder::encode(const at::Tensor& image) {
  const auto [stride_4, stride_8, stride_16] = trunk_.forward(image);
  probe("enc.stride_16", stride_16);
  return {neck_.forward(stride_16),
          at::cat({at::pixel_unshuffle(stride_4, 4), at::pixel_unshuffle(stride_8, 2)}, 1)};
}

int64_t EfficientNetImageEncoder::early_channels() const {
  return EfficientNetLite0::kChannels4x * 16 + EfficientNetLite0::kChannels8x * 4;
}

InputForm EfficientNetImageEncoder::input_form() const {
  // With symmetric padding the strided convolutions sample at multiples of their strides; after the shift the
  // samples lie in the middle of the cells.
  return {
      .mean = {127.0f, 127.0f, 127.0f}, .std = {128.0f, 128.0f, 128.0f}, .is_square = false, .shift_px = 2};
}

}  // namespace hqtrack
