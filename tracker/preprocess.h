#pragma once

#include <ATen/core/Tensor.h>

#include "core/config.h"
#include "tracker/layers.h"

namespace hqtrack {

/// Size of the network's input for a frame of that size: short and long edge by the rules of `config`, both
/// edges of the form 16 k + 1 (docs/vmos.md, section 1).
GridSize network_size(GridSize source, const PreprocessConfig& config);

/// Bicubic resize of uint8 RGB [H, W, 3] (CPU; may be a part of a contiguous image) as OpenCV 4.11 and later
/// do it: kernel with a = -0.75, float weights, no antialiasing, replicated border. A few pixels in a million
/// differ by 1, as between its builds.
at::Tensor resize_bicubic(const at::Tensor& image, GridSize size);

/// (x / 255 - mean) / std of uint8 RGB [H, W, 3] -> float [1, 3, H, W], channels-last.
at::Tensor normalize(const at::Tensor& image, const PreprocessConfig& config);

/// The network's input on its device, which the image is on, or the CPU: then it goes there as bytes. On a
/// GPU one kernel does both (tracker/preprocess_pixel.h).
at::Tensor preprocess(const at::Tensor& image, GridSize size, const PreprocessConfig& config,
                      c10::Device device);

}  // namespace hqtrack
