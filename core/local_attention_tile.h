#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Macros.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "core/layers.h"

namespace hqtrack {

/// `attend_locally` as a GPU does it, a tile of queries a block of threads. It is written as phases that all
/// threads of a block go through together, so that a loop can stand for the threads: the tests run the very
/// same code without a GPU.
struct LocalAttention {
  const float *q, *k, *v;  // [B, N, width], each with a distance between rows and between pictures
  const float* relative;   // [B, N, (2 radius + 1)^2]
  float* out;              // [B, N, value_width]
  int64_t q_stride, k_stride, v_stride, q_batch, k_batch, v_batch;
  int height, width, radius, key_width, value_width;
  float scale;
};

/// Queries of a tile (neighbours of a row) and threads of a block.
constexpr int kTileQueries = 8, kTileThreads = 256;

/// The scratch of a tile, in floats: its queries, all scores, a partial result of each thread.
struct LocalAttentionScratch {
  int query_stride;  // one more than the width, so that queries lie in different banks
  int most_keys;
  C10_HOST_DEVICE LocalAttentionScratch(int radius, int key_width)
      : query_stride(key_width + 1), most_keys((2 * radius + 1) * (2 * radius + kTileQueries)) {}
  C10_HOST_DEVICE int scores() const { return kTileQueries * query_stride; }
  C10_HOST_DEVICE int partials() const { return scores() + kTileQueries * most_keys; }
  C10_HOST_DEVICE int sums() const { return partials() + kTileThreads; }
  C10_HOST_DEVICE int size() const { return sums() + kTileThreads; }
};

/// One tile: the queries (y, x) ... (y, x + kTileQueries - 1) of picture b, as far as the row goes. threads:
/// `threads(f)` calls f(0) ... f(kTileThreads - 1), and ends when all have returned.
template <class Threads>
C10_HOST_DEVICE void attend_to_tile(const LocalAttention& a, int64_t b, int y, int x, float* scratch,
                                    const Threads& threads) {
  const LocalAttentionScratch layout(a.radius, a.key_width);
  float *const queries = scratch, *const scores = scratch + layout.scores(),
               *const partials = scratch + layout.partials(), *const sums = scratch + layout.sums();
  const auto larger = [](int one, int other) { return one > other ? one : other; };
  const auto smaller = [](int one, int other) { return one < other ? one : other; };
  const int num_queries = smaller(kTileQueries, a.width - x), side = 2 * a.radius + 1;
  const int top = larger(0, y - a.radius), rows = smaller(a.height, y + a.radius + 1) - top;
  const int left = larger(0, x - a.radius), columns = smaller(a.width, x + num_queries + a.radius) - left;
  const int num_keys = rows * columns;
  const int64_t first_query = static_cast<int64_t>(y) * a.width + x;
  const auto cell_of = [&](int key) {
    return static_cast<int64_t>(top + key / columns) * a.width + left + key % columns;
  };
  constexpr int kShare = kTileThreads / kTileQueries;  // threads that share a query

  threads([&](int thread) {
    const float* const q = a.q + b * a.q_batch + first_query * a.q_stride;
    for (int i = thread; i < num_queries * a.key_width; i += kTileThreads) {
      const int query = i / a.key_width, channel = i % a.key_width;
      queries[query * layout.query_stride + channel] = a.scale * q[query * a.q_stride + channel];
    }
  });
  // Scores [key, query], and each thread's largest one: a thread stays with one query.
  threads([&](int thread) {
    const int query = thread % kTileQueries;
    float largest = -std::numeric_limits<float>::infinity();
    for (int key = thread / kTileQueries; key < num_keys; key += kShare) {
      const int dy = top + key / columns - y, dx = left + key % columns - (x + query);
      float score = -std::numeric_limits<float>::infinity();
      if (query < num_queries && dx >= -a.radius && dx <= a.radius) {
        const float* const k = a.k + b * a.k_batch + cell_of(key) * a.k_stride;
        const float* const q = queries + query * layout.query_stride;
        const int64_t row = b * a.height * a.width + first_query + query;
        score = a.relative[row * side * side + (dy + a.radius) * side + dx + a.radius];
        for (int channel = 0; channel < a.key_width; ++channel) score += q[channel] * k[channel];
        if (score > largest) largest = score;
      }
      scores[key * kTileQueries + query] = score;
    }
    partials[thread] = largest;
  });
  threads([&](int thread) {
    const int query = thread % kTileQueries;
    float largest = partials[query], sum = 0.0F;
    for (int i = 1; i < kShare; ++i) {
      const float other = partials[i * kTileQueries + query];
      if (other > largest) largest = other;
    }
    for (int key = thread / kTileQueries; key < num_keys; key += kShare) {
      float& score = scores[key * kTileQueries + query];
      // A query beyond the row's end has no key at all.
      score = query < num_queries ? expf(score - largest) : 0.0F;
      sum += score;
    }
    sums[thread] = sum;
  });
  threads([&](int thread) {
    if (thread >= kTileQueries) return;
    float sum = 0.0F;
    for (int i = 0; i < kShare; ++i) sum += sums[i * kTileQueries + thread];
    partials[thread] = 1.0F / sum;
  });
  threads([&](int thread) {
    for (int channel = thread; channel < a.value_width; channel += kTileThreads) {
      const float* const v = a.v + b * a.v_batch + channel;
      float mean[kTileQueries] = {};
      const float* probability = scores;
      for (int row = 0; row < rows; ++row) {
        const float* cell = v + cell_of(row * columns) * a.v_stride;
        for (int column = 0; column < columns; ++column, cell += a.v_stride, probability += kTileQueries) {
#pragma unroll
          for (int query = 0; query < kTileQueries; ++query) mean[query] += probability[query] * *cell;
        }
      }
      float* const out = a.out + (b * a.height * a.width + first_query) * a.value_width + channel;
#pragma unroll
      for (int query = 0; query < kTileQueries; ++query) {
        if (query < num_queries)
          out[static_cast<int64_t>(query) * a.value_width] = mean[query] * partials[query];
      }
    }
  });
}

/// Whether a tile's scratch fits into what every GPU gives a block.
inline bool fits_local_attention_tile(GridSize grid, int64_t radius, int64_t key_width) {
  constexpr int64_t kMostBytes = 48 << 10, kLargest = 1 << 15;
  if (radius > 32 || key_width > 1024 || grid.height > kLargest || grid.width > kLargest) return false;
  const LocalAttentionScratch scratch(static_cast<int>(radius), static_cast<int>(key_width));
  return scratch.size() * static_cast<int64_t>(sizeof(float)) <= kMostBytes;
}

/// q, k, v: rows of unit stride; relative, out: contiguous; all float32 on one device, and alive.
inline LocalAttention local_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      const at::Tensor& relative, GridSize grid, int64_t radius, double scale,
                                      const at::Tensor& out) {
  return {.q = q.const_data_ptr<float>(),
          .k = k.const_data_ptr<float>(),
          .v = v.const_data_ptr<float>(),
          .relative = relative.const_data_ptr<float>(),
          .out = out.mutable_data_ptr<float>(),
          .q_stride = q.stride(1),
          .k_stride = k.stride(1),
          .v_stride = v.stride(1),
          .q_batch = q.stride(0),
          .k_batch = k.stride(0),
          .v_batch = v.stride(0),
          .height = static_cast<int>(grid.height),
          .width = static_cast<int>(grid.width),
          .radius = static_cast<int>(radius),
          .key_width = static_cast<int>(q.size(2)),
          .value_width = static_cast<int>(v.size(2)),
          .scale = static_cast<float>(scale)};
}

/// In builds with CUDA; tensors as above, the result [B, N, value_width].
at::Tensor attend_locally_cuda(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const at::Tensor& relative, GridSize grid, int64_t radius, double scale);

}  // namespace hqtrack
