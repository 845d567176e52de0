#pragma once

#include <cstdint>

#include "core/cpu_vector.h"

// How products of matrices are cut into tiles; see core/cpu_kernels_body.h.

namespace hqtrack {
namespace {

constexpr int64_t kPanel = 2 * kLanes;
constexpr int kMicroRows = HQTRACK_ROWS;        // a microtile is kMicroRows x kPanel: it fills the registers
constexpr int64_t kBlockRows = 4 * kMicroRows;  // of the left matrix: they stay in a cache meanwhile

// As many rows as that, at most R.
template <int R, int V, typename Multiply>
inline void multiply_tile(int64_t rows, int64_t row, int64_t first, const Multiply& multiply) {
  if constexpr (R > 1) {
    if (rows < R) return multiply_tile<R - 1, V>(rows, row, first, multiply);
  }
  multiply.template operator()<R, V>(row, first);
}

// Calls multiply<R, V>(row, first) for the microtiles of [rows, width], panel by panel: R rows from `row` on,
// V vectors from channel `first` on, of which the last may be partly outside.
template <typename Multiply>
inline void for_each_tile(int64_t rows, int64_t width, const Multiply& multiply) {
  const int64_t tiles = (rows + kMicroRows - 1) / kMicroRows;
  for (int64_t first = 0; first < width; first += kPanel) {
    for (int64_t tile = 0; tile < tiles; ++tile) {  // of about as many rows each
      const int64_t row = rows * tile / tiles, count = rows * (tile + 1) / tiles - row;
      if (width - first > kLanes) {
        multiply_tile<kMicroRows, 2>(count, row, first, multiply);
      } else {
        multiply_tile<kMicroRows, 1>(count, row, first, multiply);
      }
    }
  }
}

}  // namespace
}  // namespace hqtrack
