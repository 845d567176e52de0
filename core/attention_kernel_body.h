// Part of core/cpu_kernels_body.h.

#include <cstdint>
#include <cstring>
#include <limits>

#include "core/attention_kernel.h"
#include "core/cpu_vector.h"
#include "core/exp_negative.h"
#include "core/matrix_kernel_body.h"

namespace hqtrack {
namespace {

constexpr int64_t kQueryBlock = 16 * kMicroRows;  // queries of a tile of scores
constexpr int64_t kKeyBlock = 512;  // keys of a tile: a panel of values lies in the second cache at most

inline void scale_row(float* row, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) row[i] *= factor;
}

// scores[0..count) become exp(scale * score - m), where m is the larger of `maximum` and the row's own scaled
// maximum; they are added to `sum`. Returns the factor for what was accumulated under the old maximum.
float softmax_step(float* scores, int64_t count, float scale, float& maximum, float& sum) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = scores[i] > largest ? scores[i] : largest;
  const float updated = largest * scale > maximum ? largest * scale : maximum;
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    scores[i] = exp_negative(scores[i] * scale - updated);
    total += scores[i];
  }
  const float rescale = sum > 0.0f ? __builtin_expf(maximum - updated) : 0.0f;
  sum = sum * rescale + total;
  maximum = updated;
  return rescale;
}

void pack_values(const float* v, int64_t stride, int64_t count, int64_t width, int64_t index, float* packed) {
  const int64_t first = index * kPanel, channels = at_most(kPanel, width - first);
  float* target = packed + first * words_of(count);
  for (int64_t key = 0; key < count; key += kDepthPerWord, target += kPanel) {
    const float* const from = v + key * stride + first;
    for (int64_t i = 0; i < channels; ++i) target[i] = pack_word(from + i, stride, count - key);
    for (int64_t i = channels; i < kPanel; ++i) target[i] = 0.0f;
  }
}

// What the places of the keys [key, key + count) add to the scores of one query; 0 up to the end of a panel.
void place_scores(const AttentionKernel::Rows& rows, int64_t query, int64_t key, int64_t count,
                  float* scores) {
  const float* const of_rows = rows.row_scores + query * (rows.num_keys / rows.map_width);
  const float* const of_columns = rows.column_scores + query * rows.map_width;
  int64_t x = key % rows.map_width, y = key / rows.map_width;
  for (int64_t i = 0; i < count; x = 0, ++y) {
    const int64_t cells = at_most(rows.map_width - x, count - i);
    const float of_row = of_rows[y];
    for (int64_t j = 0; j < cells; ++j) scores[i + j] = of_row + of_columns[x + j];
    i += cells;
  }
  for (int64_t i = count; i < panels_of(count) * kPanel; ++i) scores[i] = 0.0f;
}

void attend(const AttentionKernel::Rows& rows) {
  const int64_t key_words = words_of(rows.key_width), query_stride = panels_of(key_words) * kPanel;
  const int64_t value_panels = panels_of(rows.value_width), out_width = value_panels * kPanel;
  float* scores = static_cast<float*>(
      __builtin_malloc((kQueryBlock * (kKeyBlock + out_width + query_stride)) * sizeof(float)));
  if (!scores) __builtin_trap();
  float* sums = scores + kQueryBlock * kKeyBlock;
  float* q = sums + kQueryBlock * out_width;
  for (int64_t start = 0; start < rows.num_queries; start += kQueryBlock) {
    const int64_t queries = at_most(kQueryBlock, rows.num_queries - start);
    float maximum[kQueryBlock], sum[kQueryBlock];
    for (int64_t i = 0; i < queries; ++i) {
      pack_row(rows.q + (start + i) * rows.q_stride, rows.key_width, q + i * query_stride);
      maximum[i] = -std::numeric_limits<float>::infinity();
      sum[i] = 0.0f;
      if (!rows.continues) continue;
      maximum[i] = rows.so_far[2 * (start + i)];
      sum[i] = rows.so_far[2 * (start + i) + 1];
      const float* const out = rows.out + (start + i) * rows.out_stride;
      for (int64_t c = 0; c < out_width; ++c) {
        sums[i * out_width + c] = c < rows.value_width ? out[c] * sum[i] : 0.0f;
      }
    }
    bool is_first = !rows.continues;
    // Adds `count` of `all` values, those from `key` on, whose scores are in the tile.
    const auto accumulate = [&](const float* values, int64_t all, int64_t key, int64_t count, float scale) {
      for (int64_t i = 0; i < queries; ++i) {
        const float rescale = softmax_step(scores + i * kKeyBlock, count, scale, maximum[i], sum[i]);
        pack_row(scores + i * kKeyBlock, count, scores + i * kKeyBlock);
        if (!is_first && rescale != 1.0f) scale_row(sums + i * out_width, out_width, rescale);
      }
      for (int64_t p = 0; p < value_panels; ++p) {
        multiply_rows(queries, scores, kKeyBlock, values + (p * words_of(all) + words_of(key)) * kPanel,
                      words_of(count), sums + p * kPanel, out_width, !is_first);
      }
      is_first = false;
    };
    for (int64_t key = 0; key < rows.num_scored; key += kKeyBlock) {
      const int64_t count = at_most(kKeyBlock, rows.num_scored - key);
      for (int64_t i = 0; i < queries; ++i) {
        std::memcpy(scores + i * kKeyBlock, rows.scored + (start + i) * rows.num_scored + key,
                    count * sizeof(float));
      }
      accumulate(rows.scored_values, rows.num_scored, key, count, 1.0f);
    }
    for (int64_t key = 0; key < rows.num_keys; key += kKeyBlock) {
      const int64_t count = at_most(kKeyBlock, rows.num_keys - key);
      const bool has_places = rows.row_scores != nullptr;
      for (int64_t i = 0; has_places && i < queries; ++i) {
        place_scores(rows, start + i, key, count, scores + i * kKeyBlock);
      }
      for (int64_t p = 0; p < panels_of(count); ++p) {
        multiply_rows(queries, q, query_stride, rows.keys + (key + p * kPanel) * key_words, key_words,
                      scores + p * kPanel, kKeyBlock, has_places);
      }
      accumulate(rows.values, rows.num_keys, key, count, rows.scale);
    }
    for (int64_t i = 0; i < queries; ++i) {
      const float factor = 1.0f / sum[i];
      float* out = rows.out + (start + i) * rows.out_stride;
      for (int64_t c = 0; c < rows.value_width; ++c) out[c] = sums[i * out_width + c] * factor;
      if (!rows.so_far) continue;
      rows.so_far[2 * (start + i)] = maximum[i];
      rows.so_far[2 * (start + i) + 1] = sum[i];
    }
  }
  __builtin_free(scores);
}

void add_shares(const float* scores, int64_t num_queries, int64_t count, float* shares) {
  float* const row = static_cast<float*>(__builtin_malloc(count * sizeof(float)));
  if (!row) __builtin_trap();
  for (int64_t i = 0; i < num_queries; ++i) {
    std::memcpy(row, scores + i * count, count * sizeof(float));
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0.0f;
    softmax_step(row, count, 1.0f, maximum, sum);
    const float factor = 1.0f / sum;
    for (int64_t j = 0; j < count; ++j) shares[j] += row[j] * factor;
  }
  __builtin_free(row);
}

// The cells that a window's queries see together, and how its scratch memory is laid out.
struct WindowLayout {
  explicit WindowLayout(const AttentionKernel::Window& w)
      : y0(w.y > w.radius ? w.y - w.radius : 0),
        y1(at_most(w.height, w.y + w.num_rows + w.radius)),
        x0(w.x > w.radius ? w.x - w.radius : 0),
        x1(at_most(w.width, w.x + w.num_columns + w.radius)),
        columns(x1 - x0),
        cells((y1 - y0) * columns),
        padded(panels_of(cells) * kPanel),
        out_width(panels_of(w.value_width) * kPanel),
        queries(w.num_rows * w.num_columns),
        key_words(words_of(w.key_width)),
        query_stride(panels_of(key_words) * kPanel),
        keys(0),
        values(keys + padded * key_words),
        scores(values + words_of(cells) * out_width),
        sums(scores + queries * padded),
        rows(sums + queries * out_width),
        factors(rows + queries * query_stride),
        size(factors + queries) {}
  int64_t y0, y1, x0, x1, columns, cells, padded, out_width, queries, key_words, query_stride;
  int64_t keys, values, scores, sums, rows, factors, size;  // offsets
};

int64_t window_scratch(const AttentionKernel::Window& largest) {
  AttentionKernel::Window window = largest;
  window.height = window.width = 1 << 20;  // somewhere in the middle of a large map
  window.y = window.x = 1 << 10;
  return WindowLayout(window).size;
}

// What the places of the layout's cells add to the scores of the query at (y, x): -inf outside its window.
void window_scores(const AttentionKernel::Window& w, const WindowLayout& layout, int64_t y, int64_t x,
                   float* scores) {
  const int64_t side = 2 * w.radius + 1;
  const int64_t from_x = at_least(x - w.radius, layout.x0), to_x = at_most(x + w.radius + 1, layout.x1);
  const float* const bias = w.relative + (y * w.width + x) * side * side;
  const float factor = 1.0f / w.scale;  // they are scaled with the product
  for (int64_t i = 0; i < layout.padded; ++i) scores[i] = -std::numeric_limits<float>::infinity();
  for (int64_t cy = at_least(y - w.radius, layout.y0); cy < at_most(y + w.radius + 1, layout.y1); ++cy) {
    float* const row = scores + (cy - layout.y0) * layout.columns + (from_x - layout.x0);
    const float* const b = bias + (cy - y + w.radius) * side + (from_x - x + w.radius);
    for (int64_t i = 0; i < to_x - from_x; ++i) row[i] = b[i] * factor;
  }
}

void attend_window(const AttentionKernel::Window& w) {
  const WindowLayout layout(w);
  float* keys = w.scratch + layout.keys;
  float* values = w.scratch + layout.values;
  float* scores = w.scratch + layout.scores;
  float* sums = w.scratch + layout.sums;
  float* rows = w.scratch + layout.rows;
  float* factors = w.scratch + layout.factors;
  const int64_t out_panels = layout.out_width / kPanel;
  const auto token_of = [&](int64_t cell) {
    return (layout.y0 + cell / layout.columns) * w.width + layout.x0 + cell % layout.columns;
  };
  for (int64_t c = 0; c < layout.padded; ++c) {
    float* const key = keys + c / kPanel * layout.key_words * kPanel + c % kPanel;
    if (c < layout.cells) pack_row(w.k + token_of(c) * w.k_stride, w.key_width, rows);
    for (int64_t i = 0; i < layout.key_words; ++i) key[i * kPanel] = c < layout.cells ? rows[i] : 0.0f;
  }
  for (int64_t c = 0; c < layout.cells; c += kDepthPerWord) {
    const float* v = w.v + token_of(c) * w.v_stride;
    const int64_t to_next = (token_of(c + 1) - token_of(c)) * w.v_stride;
    for (int64_t p = 0; p < out_panels; ++p) {
      float* value = values + (p * words_of(layout.cells) + c / kDepthPerWord) * kPanel;
      const int64_t channels = at_most(kPanel, w.value_width - p * kPanel);
      for (int64_t i = 0; i < channels; ++i) {
        value[i] = pack_word(v + p * kPanel + i, to_next, layout.cells - c);
      }
      for (int64_t i = channels; i < kPanel; ++i) value[i] = 0.0f;
    }
  }
  for (int64_t i = 0; i < layout.queries; ++i) {
    const int64_t y = w.y + i / w.num_columns, x = w.x + i % w.num_columns;
    pack_row(w.q + (y * w.width + x) * w.q_stride, w.key_width, rows + i * layout.query_stride);
    window_scores(w, layout, y, x, scores + i * layout.padded);
  }
  for (int64_t p = 0; p < layout.padded / kPanel; ++p) {
    multiply_rows(layout.queries, rows, layout.query_stride, keys + p * kPanel * layout.key_words,
                  layout.key_words, scores + p * kPanel, layout.padded, true);
  }
  for (int64_t i = 0; i < layout.queries; ++i) {
    float* const row = scores + i * layout.padded;
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0.0f;
    softmax_step(row, layout.cells, w.scale, maximum, sum);
    pack_row(row, layout.cells, row);
    factors[i] = 1.0f / sum;
  }
  for (int64_t p = 0; p < out_panels; ++p) {
    multiply_rows(layout.queries, scores, layout.padded, values + p * words_of(layout.cells) * kPanel,
                  words_of(layout.cells), sums + p * kPanel, layout.out_width, false);
  }
  for (int64_t i = 0; i < layout.queries; ++i) {
    const int64_t token = (w.y + i / w.num_columns) * w.width + w.x + i % w.num_columns;
    float* const out = w.out + token * w.value_width;
    for (int64_t c = 0; c < w.value_width; ++c) out[c] = sums[i * layout.out_width + c] * factors[i];
  }
}

}  // namespace

}  // namespace hqtrack
