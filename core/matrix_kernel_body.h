// Part of core/cpu_kernels_body.h.
#pragma once

#include <cstdint>

#include "core/cpu_vector.h"
#include "core/matrix_kernel.h"

namespace hqtrack {
namespace {

constexpr int64_t kPanel = 2 * kLanes;
constexpr int kMicroRows = HQTRACK_ROWS;  // a microtile is kMicroRows x kPanel: it fills the registers

inline int64_t panels_of(int64_t count) { return (count + kPanel - 1) / kPanel; }

// c [R, kPanel] (+)= a [R, depth] * b [depth, kPanel]
template <int R>
void multiply(const float* a, int64_t a_stride, const float* b, int64_t depth, float* c, int64_t c_stride,
              bool accumulates) {
  Vector sum[R][2];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sum[r][0] = accumulates ? *reinterpret_cast<const Vector*>(c + r * c_stride) : Vector{};
    sum[r][1] = accumulates ? *reinterpret_cast<const Vector*>(c + r * c_stride + kLanes) : Vector{};
  }
  for (int64_t i = 0; i < depth; ++i, b += kPanel) {
    const Vector b0 = *reinterpret_cast<const Vector*>(b), b1 = *reinterpret_cast<const Vector*>(b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float x = a[r * a_stride + i];
      sum[r][0] += x * b0;
      sum[r][1] += x * b1;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    *reinterpret_cast<Vector*>(c + r * c_stride) = sum[r][0];
    *reinterpret_cast<Vector*>(c + r * c_stride + kLanes) = sum[r][1];
  }
}

// Any number of rows.
void multiply_rows(int64_t rows, const float* a, int64_t a_stride, const float* b, int64_t depth, float* c,
                   int64_t c_stride, bool accumulates) {
  int64_t r = 0;
  for (; r + kMicroRows <= rows; r += kMicroRows) {
    multiply<kMicroRows>(a + r * a_stride, a_stride, b, depth, c + r * c_stride, c_stride, accumulates);
  }
  for (constexpr int kHalf = kMicroRows / 2; r + kHalf <= rows; r += kHalf) {
    multiply<kHalf>(a + r * a_stride, a_stride, b, depth, c + r * c_stride, c_stride, accumulates);
  }
  for (; r < rows; ++r)
    multiply<1>(a + r * a_stride, a_stride, b, depth, c + r * c_stride, c_stride, accumulates);
}

void pack_rows(const float* rows, int64_t stride, int64_t count, int64_t width, int64_t index,
               float* packed) {
  const int64_t first = index * kPanel, last = at_most(first + kPanel, count);
  float* target = packed + first * width;
  for (int64_t i = 0; i < width; ++i, target += kPanel) {
    for (int64_t row = first; row < last; ++row) target[row - first] = rows[row * stride + i];
    for (int64_t row = last; row < first + kPanel; ++row) target[row - first] = 0.0f;
  }
}

void multiply_matrix(const MatrixKernel::Rows& r) {
  constexpr int64_t kBlock = 4 * kMicroRows;
  alignas(64) float tile[kBlock * kPanel];
  for (int64_t start = 0; start < r.num_rows; start += kBlock) {
    const int64_t rows = at_most(kBlock, r.num_rows - start);
    for (int64_t first = 0; first < r.width; first += kPanel) {
      multiply_rows(rows, r.in + start * r.depth, r.depth, r.weight + first * r.depth, r.depth, tile, kPanel,
                    false);
      const int64_t channels = at_most(kPanel, r.width - first);
      for (int64_t i = 0; i < rows; ++i) {
        float* const out = r.out + (start + i) * r.width + first;
        for (int64_t c = 0; c < channels; ++c) {
          float value = tile[i * kPanel + c] + (r.bias ? r.bias[first + c] : 0.0f);
          value = value < r.lowest ? r.lowest : value;
          out[c] = value > r.highest ? r.highest : value;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hqtrack
