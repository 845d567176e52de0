#pragma once

#include "core/weights/tensor_file.h"

namespace hqtrack {

/// Whether these are the weights of EfficientNet-Lite0 as it is published: a classifier with its batch norms,
/// names `_conv_stem.weight`, `_blocks.0._depthwise_conv.weight` ...
bool is_published_efficientnet_lite0(const TensorFile& contents);

/// Of those, what `EfficientNetLite0` has: batch norm folded into the convolutions, as `encoder.stem.weight`,
/// `encoder.blocks.0.dw.weight` ... Throws WeightsError, `source` in front, when one is missing or of another
/// shape than its batch norm.
TensorFile fold_efficientnet_lite0(const TensorFile& contents, const std::string& source);

}  // namespace hqtrack
