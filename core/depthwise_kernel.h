#pragma once

#include <cstdint>

namespace hqtrack {

/// Depthwise convolution of a float32 map whose channels lie beside each other.
struct DepthwiseKernel {
  struct Rows {
    const float* const* in;  // [height]: rows [width, channels]; those that no result needs are not looked at
    const float* weight;     // [kernel, kernel, channels]
    const float* bias;       // [channels], or null
    int64_t height, width, channels, kernel, stride, padding;
    float lowest, highest;  // the results are clamped to these
    int64_t out_width;
    int64_t first_row, last_row;  // of the result
    float* out;                   // [last_row - first_row, out_width, channels]
  };
  void (*convolve_rows)(const Rows& rows);
};

}  // namespace hqtrack
