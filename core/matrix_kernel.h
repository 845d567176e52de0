#pragma once

#include <cstdint>

namespace hqtrack {

/// Products of float32 matrices on the CPU, one of which is packed into panels that the innermost loop reads
/// from front to end. In bfloat16 both are rounded and what is packed are pairs of neighbours along the
/// depth, the sum's index, each in the memory of a float; sums are of float32. In int8 four neighbours are:
/// each row of the weight and each row of inputs has a scale of its own, by which it fills a byte, and sums
/// are whole numbers.
struct MatrixKernel {
  /// Rows of a panel.
  int64_t panel;
  int64_t panels_of(int64_t count) const { return (count + panel - 1) / panel; }
  /// 1, 2 in bfloat16, or 4 in int8.
  int64_t depth_per_word;
  /// What a row has beside its depth, in words: in int8 its scale and its sum.
  int64_t words_beside;
  /// Elements of all panels.
  int64_t packed_size(int64_t count, int64_t depth) const {
    return panels_of(count) * panel * ((depth + depth_per_word - 1) / depth_per_word + words_beside);
  }

  /// Rows [panel * index, panel * (index + 1)) of a matrix [count, width] as packed[index]: [width, panel], 0
  /// behind the last.
  void (*pack_rows)(const float* rows, int64_t stride, int64_t count, int64_t width, int64_t index,
                    float* packed);

  /// out = clamp(in weight^T + bias).
  struct Rows {
    const float* in;      // [num_rows, depth]
    const float* weight;  // [width, depth], packed
    const float* bias;    // [width], or null
    int64_t num_rows, depth, width;
    float lowest, highest;  // the results are clamped to these
    float* out;             // [num_rows, width]
    int64_t out_stride;     // of its rows
  };
  void (*multiply)(const Rows& rows);
};

}  // namespace hqtrack
