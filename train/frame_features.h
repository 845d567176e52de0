#pragma once

#include <ATen/core/Tensor.h>

#include "tracker/vmos.h"

namespace hqtrack {

/// uint8 RGB [N, H, W, 3] -> float [N, 3, H, W] as the network wants it.
at::Tensor normalize_images(const at::Tensor& images, const PreprocessConfig& config);

/// What the backbone sees in normalised images, without gradients; a few images at a time, so that little
/// memory is needed.
Features frozen_backbone_features(Vmos& network, const at::Tensor& images);

}  // namespace hqtrack
