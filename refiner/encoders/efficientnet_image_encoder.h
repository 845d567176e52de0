#pragma once

#include "core/efficientnet_lite0.h"
#include "refiner/encoders/image_encoder.h"

namespace hqtrack {

/// Encoder of the embedded refiner (docs/hqsam.md, section 9): the trunk is the tracker's own. Early
/// features: the maps at stride 4 and 8, each cell of stride 16 holding all of theirs.
class EfficientNetImageEncoder : public ImageEncoder {
 public:
  explicit EfficientNetImageEncoder(const RefinerConfig& config);
  /// Edges that are multiples of 16.
  ImageFeatures encode(const at::Tensor& image) override;
  int64_t early_channels() const override;
  InputForm input_form() const override;

 private:
  EfficientNetLite0 trunk_;
  Neck neck_;
};

}  // namespace hqtrack
