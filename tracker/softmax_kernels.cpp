#include "tracker/softmax_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

// Compiled for several instruction sets; the best one is chosen when the program is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HQTRACK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HQTRACK_CLONES
#endif

namespace hqtrack {
namespace {

// exp(x) for x <= 0, relative error below 2e-7: 2^n * p(r), r = x log2(e) - n in [-0.5, 0.5]. Below -87 it
// gives about 1e-38, which vanishes beside the row's own maximum of 1. Branch-free, so that loops over it
// become vectors.
inline float exp_negative(float x) {
  const float t = std::max(x, -87.0f) * 1.44269504f;
  const float shifted = t + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest whole number
  const float n = shifted - 12582912.0f;
  const float r = t - n;
  float p = 1.5353362e-4f;
  p = p * r + 1.3398874e-3f;
  p = p * r + 9.6184373e-3f;
  p = p * r + 5.5503324e-2f;
  p = p * r + 2.4022648e-1f;
  p = p * r + 6.9314720e-1f;
  p = p * r + 1.0f;
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + (std::bit_cast<int32_t>(shifted) << 23));
}

}  // namespace

HQTRACK_CLONES
float softmax_step(float* scores, int64_t count, float scale, float& maximum, float& sum) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, scores[i]);
  const float updated = std::max(maximum, largest * scale);
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    scores[i] = exp_negative(scores[i] * scale - updated);
    total += scores[i];
  }
  const float rescale = std::isinf(maximum) ? 0.0f : std::exp(maximum - updated);
  sum = sum * rescale + total;
  maximum = updated;
  return rescale;
}

HQTRACK_CLONES
void windowed_softmax(float* scores, int64_t rows, int64_t columns, int64_t from, int64_t width,
                      const float* bias, int64_t bias_stride, float scale) {
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t y = 0; y < rows; ++y) {
    float* row = scores + y * columns + from;
    const float* b = bias + y * bias_stride;
#pragma omp simd reduction(max : largest)
    for (int64_t x = 0; x < width; ++x) {
      row[x] = row[x] * scale + b[x];
      largest = std::max(largest, row[x]);
    }
  }
  float total = 0.0f;
  for (int64_t y = 0; y < rows; ++y) {
    float* row = scores + y * columns + from;
#pragma omp simd reduction(+ : total)
    for (int64_t x = 0; x < width; ++x) {
      row[x] = exp_negative(row[x] - largest);
      total += row[x];
    }
  }
  const float factor = 1.0f / total;
  for (int64_t y = 0; y < rows; ++y) {
    float* row = scores + y * columns;
    std::fill(row, row + from, 0.0f);
    for (int64_t x = from; x < from + width; ++x) row[x] *= factor;
    std::fill(row + from + width, row + columns, 0.0f);
  }
}

HQTRACK_CLONES
void scale_row(float* row, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) row[i] *= factor;
}

}  // namespace hqtrack
