#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Macros.h>

#include <cmath>
#include <cstdint>

#include "core/config.h"
#include "tracker/layers.h"

namespace hqtrack {

/// What a GPU needs to make the tracker's network input of a picture, a thread a pixel. The same numbers as
/// `resize_bicubic` and `normalize` (tracker/preprocess.h) compute on the CPU.
struct BicubicInput {
  const uint8_t* image;  // RGB, pixels of a row side by side
  int64_t row_stride;
  int in_height, in_width, out_height, out_width;
  double mean[3], std[3];
};

/// Four neighbours of a target pixel along an axis, and their weights.
struct BicubicTap {
  int index[4];
  float weight[4];

  C10_HOST_DEVICE BicubicTap(int target, int in, int out) {
    const double position = (target + 0.5) * (static_cast<double>(in) / out) - 0.5;
    const double base = floor(position), x = position - base, a = -0.75;
    const double first = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a,
                 second = ((a + 2) * x - (a + 3)) * x * x + 1,
                 third = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    const double weights[4] = {first, second, third, 1 - first - second - third};
    for (int k = 0; k < 4; ++k) {
      const int at = static_cast<int>(base) - 1 + k;
      index[k] = at < 0 ? 0 : at >= in ? in - 1 : at;
      weight[k] = static_cast<float>(weights[k]);
    }
  }
};

/// The three values of the input's pixel (x, y).
C10_HOST_DEVICE inline void bicubic_pixel(const BicubicInput& input, int x, int y, float* values) {
  const BicubicTap column(x, input.in_width, input.out_width), row(y, input.in_height, input.out_height);
  for (int c = 0; c < 3; ++c) {
    double sum = 0;
    for (int j = 0; j < 4; ++j) {
      const uint8_t* const line = input.image + row.index[j] * input.row_stride + c;
      double across = 0;
      for (int k = 0; k < 4; ++k) across += static_cast<double>(line[3 * column.index[k]]) * column.weight[k];
      sum += across * row.weight[j];
    }
    const float rounded = rintf(static_cast<float>(sum));
    const double byte = rounded < 0.0F ? 0.0 : rounded > 255.0F ? 255.0 : static_cast<double>(rounded);
    values[c] = static_cast<float>((byte / 255.0 - input.mean[c]) / input.std[c]);
  }
}

/// image: uint8 [H, W, 3], pixels of a row side by side; alive as long as the result is used.
inline BicubicInput bicubic_input(const at::Tensor& image, GridSize size, const PreprocessConfig& config) {
  BicubicInput input{.image = image.const_data_ptr<uint8_t>(),
                     .row_stride = image.stride(0),
                     .in_height = static_cast<int>(image.size(0)),
                     .in_width = static_cast<int>(image.size(1)),
                     .out_height = static_cast<int>(size.height),
                     .out_width = static_cast<int>(size.width),
                     .mean = {},
                     .std = {}};
  for (int c = 0; c < 3; ++c) {
    input.mean[c] = config.mean[c];
    input.std[c] = config.std[c];
  }
  return input;
}

/// In builds with CUDA. image: on a GPU. Returns float [1, 3, H, W] there, channels-last.
at::Tensor preprocess_cuda(const at::Tensor& image, GridSize size, const PreprocessConfig& config);

}  // namespace hqtrack
