#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Macros.h>

#include <cstdint>

#include "core/layers.h"
#include "refiner/encoders/image_encoder.h"

namespace hqtrack {

/// What a GPU needs to make the refiner's network input of a picture, a thread a pixel. The same numbers as
/// `resize_antialiased` and `normalize_and_pad` (refiner/preprocess.h) compute on the CPU.
struct AntialiasedInput {
  const uint8_t* image;  // RGB, pixels of a row side by side
  int64_t row_stride;
  int in_height, in_width, resized_height, resized_width, shift;
  int out_height, out_width;
  float mean[3], std[3];
};

/// Samples of an axis that make up a target pixel, with whole-number weights.
struct TriangleTap {
  static constexpr int kBits = 22;
  int start, count;
  double centre, inverse, sum;

  C10_HOST_DEVICE TriangleTap(int target, int in, int out) {
    const double ratio = static_cast<double>(in) / out, reach = ratio > 1.0 ? ratio : 1.0;
    inverse = 1.0 / reach;
    centre = (target + 0.5) * ratio;
    start = static_cast<int>(centre - reach + 0.5);
    if (start < 0) start = 0;
    int end = static_cast<int>(centre + reach + 0.5);
    if (end > in) end = in;
    count = end - start;
    sum = 0;
    for (int k = 0; k < count; ++k) sum += raw(k);
  }
  C10_HOST_DEVICE double raw(int k) const {
    const double distance = (static_cast<double>(start + k) - centre + 0.5) * inverse;
    const double weight = 1.0 - (distance < 0 ? -distance : distance);
    return weight < 0 ? 0.0 : weight;
  }
  C10_HOST_DEVICE int32_t weight(int k) const {
    return static_cast<int32_t>(raw(k) / sum * (1 << kBits) + 0.5);
  }
  C10_HOST_DEVICE static int32_t rounded(int32_t total) {
    const int32_t value = total >> kBits;
    return value < 0 ? 0 : value > 255 ? 255 : value;
  }
};

/// The three values of the input's pixel (x, y).
C10_HOST_DEVICE inline void antialiased_pixel(const AntialiasedInput& input, int x, int y, float* values) {
  const int from_x = x + input.shift, from_y = y + input.shift;
  if (from_x >= input.resized_width || from_y >= input.resized_height) {
    for (int c = 0; c < 3; ++c) values[c] = 0.0F;
    return;
  }
  const TriangleTap column(from_x, input.in_width, input.resized_width),
      row(from_y, input.in_height, input.resized_height);
  constexpr int32_t kHalf = 1 << (TriangleTap::kBits - 1);
  int32_t sums[3] = {kHalf, kHalf, kHalf};
  for (int j = 0; j < row.count; ++j) {
    const uint8_t* const line = input.image + (row.start + j) * input.row_stride + 3 * column.start;
    int32_t across[3] = {kHalf, kHalf, kHalf};
    for (int k = 0; k < column.count; ++k) {
      const int32_t weight = column.weight(k);
      for (int c = 0; c < 3; ++c) across[c] += weight * line[3 * k + c];
    }
    const int32_t weight = row.weight(j);
    for (int c = 0; c < 3; ++c) sums[c] += weight * TriangleTap::rounded(across[c]);
  }
  for (int c = 0; c < 3; ++c) {
    values[c] = (static_cast<float>(TriangleTap::rounded(sums[c])) - input.mean[c]) / input.std[c];
  }
}

/// image: uint8 [H, W, 3], pixels of a row side by side; alive as long as the result is used. size: of the
/// network's input (refiner/preprocess.h).
inline AntialiasedInput antialiased_input(const at::Tensor& image, GridSize resized, GridSize size,
                                          const InputForm& form) {
  AntialiasedInput input{.image = image.const_data_ptr<uint8_t>(),
                         .row_stride = image.stride(0),
                         .in_height = static_cast<int>(image.size(0)),
                         .in_width = static_cast<int>(image.size(1)),
                         .resized_height = static_cast<int>(resized.height),
                         .resized_width = static_cast<int>(resized.width),
                         .shift = static_cast<int>(form.shift_px),
                         .out_height = static_cast<int>(size.height),
                         .out_width = static_cast<int>(size.width),
                         .mean = {},
                         .std = {}};
  for (int c = 0; c < 3; ++c) {
    input.mean[c] = form.mean[c];
    input.std[c] = form.std[c];
  }
  return input;
}

/// In builds with CUDA. image: on a GPU. Returns float [1, 3, H, W] there, channels-last.
at::Tensor network_input_cuda(const at::Tensor& image, GridSize resized, GridSize size,
                              const InputForm& form);

}  // namespace hqtrack
