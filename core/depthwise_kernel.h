#pragma once

#include <cstdint>

namespace hqtrack {

/// Depthwise convolution of a float32 map whose channels lie beside each other.
struct DepthwiseKernel {
  struct Rows {
    const float* in;      // [height, width, channels]
    const float* weight;  // [kernel, kernel, channels]
    const float* bias;    // [channels], or null
    int64_t height, width, channels, kernel, stride, padding;
    float lowest, highest;  // the results are clamped to these
    float* out;             // [out_height, out_width, channels]
    int64_t out_width;
    int64_t first_row, last_row;  // rows [first_row, last_row) of `out` are written
  };
  void (*convolve_rows)(const Rows& rows);
};

}  // namespace hqtrack
