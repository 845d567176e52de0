// Included by one file an instruction set with dot products of bytes (VNNI), which defines HQTRACK_LANES,
// HQTRACK_ROWS and HQTRACK_KERNELS as core/cpu_kernels_body.h wants them. Everything here is local to it.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "core/cpu_vector.h"
#include "core/matrix_kernel.h"
#include "core/matrix_tiles.h"

namespace hqtrack {
namespace {

constexpr int64_t kDepthPerWord = 4;
constexpr int64_t kWordsBeside = 2;  // behind a panel's rows: their scales, and their sums

typedef int32_t Sums __attribute__((vector_size(kLanes * sizeof(int32_t)), aligned(4), may_alias));

inline int64_t words_of(int64_t depth) { return (depth + kDepthPerWord - 1) / kDepthPerWord; }

#if HQTRACK_LANES == 16
inline Sums add_dot(Sums sum, int32_t x, const int32_t* b) {
  return (Sums)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(x), _mm512_loadu_si512(b));
}
#else
inline Sums add_dot(Sums sum, int32_t x, const int32_t* b) {
  return (Sums)_mm256_dpbusd_avx_epi32((__m256i)sum, _mm256_set1_epi32(x),
                                       _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)));
}
#endif

// Numbers -127 .. 127 times a scale, row by row of the weight.
void pack_int8_rows(const float* rows, int64_t stride, int64_t count, int64_t width, int64_t index,
                    float* packed) {
  const int64_t first = index * kPanel, last = at_most(first + kPanel, count), words = words_of(width);
  float* const panel = packed + first * (words + kWordsBeside);
  float *const scales = panel + words * kPanel, *const sums = scales + kPanel;
  std::memset(panel, 0, (words + kWordsBeside) * kPanel * sizeof(float));
  auto* const bytes = reinterpret_cast<int8_t*>(panel);
  for (int64_t row = first; row < last; ++row) {
    const float* const from = rows + row * stride;
    float largest = 0.0f;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < width; ++i) {
      const float size = __builtin_fabsf(from[i]);
      largest = size > largest ? size : largest;
    }
    const float factor = largest > 0.0f ? 127.0f / largest : 0.0f;
    int32_t sum = 0;
    for (int64_t i = 0; i < width; ++i) {
      const auto number = static_cast<int8_t>(__builtin_rintf(from[i] * factor));
      bytes[(i / kDepthPerWord * kPanel + row - first) * kDepthPerWord + i % kDepthPerWord] = number;
      sum += number;
    }
    scales[row - first] = largest / 127.0f;
    sums[row - first] = largest / 127.0f * static_cast<float>(sum);
  }
}

// A row of inputs is lowest + scale * (0 .. 255).
struct RowScale {
  float lowest, scale;
};

RowScale quantize_row(const float* row, int64_t depth, uint8_t* numbers) {
  float lowest = row[0], highest = row[0];
#pragma omp simd reduction(min : lowest) reduction(max : highest)
  for (int64_t i = 0; i < depth; ++i) {
    lowest = row[i] < lowest ? row[i] : lowest;
    highest = row[i] > highest ? row[i] : highest;
  }
  const float factor = highest > lowest ? 255.0f / (highest - lowest) : 0.0f;
#pragma omp simd
  for (int64_t i = 0; i < depth; ++i) {
    const float place = (row[i] - lowest) * factor + 0.5f;
    numbers[i] = static_cast<uint8_t>(static_cast<int32_t>(place < 255.0f ? place : 255.0f));
  }
  for (int64_t i = depth; i < words_of(depth) * kDepthPerWord; ++i) numbers[i] = 0;
  return {lowest, (highest - lowest) / 255.0f};
}

// R rows of the result from channel `first` on, of which the last V vectors may be of too many; a [R, words],
// panel: of the weight.
template <int R, int V>
void multiply_int8(const MatrixKernel::Rows& r, const int32_t* a, const RowScale* a_scales,
                   const float* panel, int64_t first, float* out) {
  Sums sum[R][V] = {};
  const int64_t words = words_of(r.depth);
  const auto* b = reinterpret_cast<const int32_t*>(panel);
  for (int64_t i = 0; i < words; ++i, b += kPanel) {
#pragma GCC unroll 16
    for (int row = 0; row < R; ++row) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[row][v] = add_dot(sum[row][v], a[row * words + i], b + v * kLanes);
    }
  }
  const float *const scales = panel + words * kPanel, *const sums = scales + kPanel;
  const int64_t channels = at_most(V * kLanes, r.width - first);
  float bias[V * kLanes] = {};
  if (r.bias) std::memcpy(bias, r.bias + first, channels * sizeof(float));
#pragma GCC unroll 16
  for (int row = 0; row < R; ++row, out += r.out_stride) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      const auto at = [&](const float* values) {
        return *reinterpret_cast<const Vector*>(values + v * kLanes);
      };
      const Vector product = __builtin_convertvector(sum[row][v], Vector) * a_scales[row].scale * at(scales);
      store_clamped(product + a_scales[row].lowest * at(sums) + at(bias), r.lowest, r.highest,
                    channels - v * kLanes, out + v * kLanes);
    }
  }
}

void multiply_int8_matrix(const MatrixKernel::Rows& r) {
  const int64_t words = words_of(r.depth);
  auto* const numbers = static_cast<int32_t*>(__builtin_malloc(kBlockRows * words * sizeof(int32_t)));
  if (!numbers) __builtin_trap();
  RowScale scales[kBlockRows];
  for (int64_t start = 0; start < r.num_rows; start += kBlockRows) {
    const int64_t rows = at_most(kBlockRows, r.num_rows - start);
    for (int64_t i = 0; i < rows; ++i) {
      scales[i] = quantize_row(r.in + (start + i) * r.depth, r.depth,
                               reinterpret_cast<uint8_t*>(numbers + i * words));
    }
    for_each_tile(rows, r.width, [&]<int R, int V>(int64_t row, int64_t first) {
      multiply_int8<R, V>(r, numbers + row * words, scales + row, r.weight + first * (words + kWordsBeside),
                          first, r.out + (start + row) * r.out_stride + first);
    });
  }
  __builtin_free(numbers);
}

}  // namespace

extern const MatrixKernel HQTRACK_KERNELS;
const MatrixKernel HQTRACK_KERNELS{kPanel, kDepthPerWord, kWordsBeside, pack_int8_rows, multiply_int8_matrix};

}  // namespace hqtrack
