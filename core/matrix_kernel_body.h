// Part of core/cpu_kernels_body.h.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef HQTRACK_BF16
#include <immintrin.h>
#endif

#include "core/cpu_vector.h"
#include "core/matrix_kernel.h"
#include "core/matrix_tiles.h"

namespace hqtrack {
namespace {

inline int64_t panels_of(int64_t count) { return (count + kPanel - 1) / kPanel; }

// An operand's word is one number along the depth, or two in bfloat16, the first one in the lower half.
#ifdef HQTRACK_BF16
constexpr int64_t kDepthPerWord = 2;

inline uint32_t round_to_bf16(float x) {  // the upper half of the result; to the nearest, ties to even
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1);
}

// The word of first[0] and first[stride], or 0 where `count` is 1.
inline float pack_word(const float* first, int64_t stride, int64_t count) {
  const uint32_t second = count > 1 ? round_to_bf16(first[stride]) & 0xffff0000u : 0;
  return __builtin_bit_cast(float, second | round_to_bf16(first[0]) >> 16);
}

// row [count] as words, up to the end of a vector. `words` may be `row` itself.
inline void pack_row(const float* row, int64_t count, float* words) {
  const auto store = [&](__m512 first, __m512 second) {
    _mm512_storeu_ps(words, (__m512)_mm512_cvtne2ps_pbh(second, first));
  };
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes, words += kLanes) {
    store(_mm512_loadu_ps(row + i), _mm512_loadu_ps(row + i + kLanes));
  }
  if (i == count) return;
  const auto load = [&](int64_t at) {  // 0 behind the end
    const auto is_inside = static_cast<__mmask16>((1u << at_most(kLanes, at_least(0, count - at))) - 1);
    return _mm512_maskz_loadu_ps(is_inside, row + at);
  };
  store(load(i), load(i + kLanes));
}

inline Vector multiply_add(Vector sum, float x, Vector b) {
  return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(x), (__m512bh)b);
}
#else
constexpr int64_t kDepthPerWord = 1;

inline float pack_word(const float* first, int64_t, int64_t) { return *first; }

inline void pack_row(const float* row, int64_t count, float* words) {
  if (words != row) std::memcpy(words, row, count * sizeof(float));
}

inline Vector multiply_add(Vector sum, float x, Vector b) { return sum + x * b; }
#endif

inline int64_t words_of(int64_t depth) { return (depth + kDepthPerWord - 1) / kDepthPerWord; }

// c [R, kPanel] (+)= a [R, depth] * b [depth, kPanel], where depth is in words
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
      sum[r][0] = multiply_add(sum[r][0], x, b0);
      sum[r][1] = multiply_add(sum[r][1], x, b1);
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
  constexpr int64_t kWords = 32;  // of each row in turn: what is written meanwhile stays in the first cache
  const int64_t first = index * kPanel, last = at_most(first + kPanel, count), words = words_of(width);
  float* target = packed + first * words;
  for (int64_t word = 0; word < words; word += kWords, target += kWords * kPanel) {
    const int64_t num_words = at_most(kWords, words - word);
    for (int64_t row = first; row < last; ++row) {
      const float* const from = rows + row * stride;
      for (int64_t i = 0; i < num_words; ++i) {
        const int64_t depth = (word + i) * kDepthPerWord;
        target[i * kPanel + row - first] = pack_word(from + depth, 1, width - depth);
      }
    }
    for (int64_t row = last; row < first + kPanel; ++row) {
      for (int64_t i = 0; i < num_words; ++i) target[i * kPanel + row - first] = 0.0f;
    }
  }
}

// R rows of the result from channel `first` on, of which the last V vectors may be of too many; a [R, depth],
// b [depth, kPanel], where depth is in words.
template <int R, int V>
void multiply_and_clamp(const MatrixKernel::Rows& r, const float* a, int64_t a_stride, const float* b,
                        int64_t first, float* out) {
  Vector sum[R][V] = {};
  for (int64_t i = 0; i < words_of(r.depth); ++i, b += kPanel) {
#pragma GCC unroll 16
    for (int row = 0; row < R; ++row) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        sum[row][v] = multiply_add(sum[row][v], a[row * a_stride + i],
                                   *reinterpret_cast<const Vector*>(b + v * kLanes));
      }
    }
  }
  const int64_t channels = at_most(V * kLanes, r.width - first);
  float bias[V * kLanes] = {};
  if (r.bias) std::memcpy(bias, r.bias + first, channels * sizeof(float));
#pragma GCC unroll 16
  for (int row = 0; row < R; ++row, out += r.out_stride) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      store_clamped(sum[row][v] + *reinterpret_cast<const Vector*>(bias + v * kLanes), r.lowest, r.highest,
                    channels - v * kLanes, out + v * kLanes);
    }
  }
}

void multiply_matrix(const MatrixKernel::Rows& r) {
  const int64_t words = words_of(r.depth), packed_stride = panels_of(words) * kPanel;
  float* packed = nullptr;
  if (kDepthPerWord > 1) {
    packed = static_cast<float*>(__builtin_malloc(kBlockRows * packed_stride * sizeof(float)));
    if (!packed) __builtin_trap();
  }
  for (int64_t start = 0; start < r.num_rows; start += kBlockRows) {
    const int64_t rows = at_most(kBlockRows, r.num_rows - start);
    const float* const in = r.in + start * r.depth;
    for (int64_t i = 0; packed && i < rows; ++i)
      pack_row(in + i * r.depth, r.depth, packed + i * packed_stride);
    const float* const a = packed ? packed : in;
    const int64_t a_stride = packed ? packed_stride : r.depth;
    for_each_tile(rows, r.width, [&]<int R, int V>(int64_t row, int64_t first) {
      multiply_and_clamp<R, V>(r, a + row * a_stride, a_stride, r.weight + first * words, first,
                               r.out + (start + row) * r.out_stride + first);
    });
  }
  __builtin_free(packed);
}

}  // namespace
}  // namespace hqtrack
