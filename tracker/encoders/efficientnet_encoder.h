#pragma once

#include "core/efficientnet_lite0.h"
#include "tracker/encoders/encoder.h"

namespace hqtrack {

/// core/efficientnet_lite0.h as the tracker's encoder.
class EfficientNetEncoder : public Encoder {
 public:
  Features encode(const at::Tensor& image) override {
    const auto [stride_4, stride_8, stride_16] = trunk_.forward(image);
    return {stride_4, stride_8, stride_16};
  }
  std::array<int64_t, 3> channels() const override {
    return {EfficientNetLite0::kChannels4x, EfficientNetLite0::kChannels8x, EfficientNetLite0::kChannels16x};
  }

 private:
  EfficientNetLite0 trunk_{*this};
};

}  // namespace hqtrack
