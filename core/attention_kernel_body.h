// Part of core/cpu_kernels_body.h.

#include <cstdint>
#include <cstring>
#include <limits>

#include "core/attention_kernel.h"
#include "core/cpu_vector.h"
#include "core/matrix_kernel_body.h"

namespace hqtrack {
namespace {

constexpr int64_t kQueryBlock = 16 * kMicroRows;  // queries of a tile of scores
constexpr int64_t kKeyBlock = 512;  // keys of a tile: a panel of values lies in the second cache at most

// exp(x) for x <= 0, relative error below 2e-7: 2^n * p(r), r = x log2(e) - n in [-0.5, 0.5]. Below -87 it
// gives about 1e-38, which vanishes beside the row's own maximum of 1. Branch-free, so that loops over it
// become vectors.
inline float exp_negative(float x) {
  const float t = (x > -87.0f ? x : -87.0f) * 1.44269504f;
  const float shifted = t + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest whole number
  const float r = t - (shifted - 12582912.0f);
  float p = 1.5353362e-4f;
  p = p * r + 1.3398874e-3f;
  p = p * r + 9.6184373e-3f;
  p = p * r + 5.5503324e-2f;
  p = p * r + 2.4022648e-1f;
  p = p * r + 6.9314720e-1f;
  p = p * r + 1.0f;
  return __builtin_bit_cast(float,
                            __builtin_bit_cast(int32_t, p) + (__builtin_bit_cast(int32_t, shifted) << 23));
}

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
  float* target = packed + first * count;
  for (int64_t key = 0; key < count; ++key, target += kPanel) {
    for (int64_t i = 0; i < channels; ++i) target[i] = v[key * stride + first + i];
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
  const int64_t value_panels = panels_of(rows.value_width), out_width = value_panels * kPanel;
  float* scores =
      static_cast<float*>(__builtin_malloc((kQueryBlock * (kKeyBlock + out_width)) * sizeof(float)));
  if (!scores) __builtin_trap();
  float* sums = scores + kQueryBlock * kKeyBlock;
  for (int64_t start = 0; start < rows.num_queries; start += kQueryBlock) {
    const int64_t queries = at_most(kQueryBlock, rows.num_queries - start);
    const float* q = rows.q + start * rows.q_stride;
    float maximum[kQueryBlock], sum[kQueryBlock];
    for (int64_t i = 0; i < queries; ++i) {
      maximum[i] = -std::numeric_limits<float>::infinity();
      sum[i] = 0.0f;
    }
    for (int64_t key = 0; key < rows.num_keys; key += kKeyBlock) {
      const int64_t count = at_most(kKeyBlock, rows.num_keys - key);
      const bool has_places = rows.row_scores != nullptr;
      for (int64_t i = 0; has_places && i < queries; ++i) {
        place_scores(rows, start + i, key, count, scores + i * kKeyBlock);
      }
      for (int64_t p = 0; p < panels_of(count); ++p) {
        multiply_rows(queries, q, rows.q_stride, rows.keys + (key + p * kPanel) * rows.key_width,
                      rows.key_width, scores + p * kPanel, kKeyBlock, has_places);
      }
      for (int64_t i = 0; i < queries; ++i) {
        const float rescale = softmax_step(scores + i * kKeyBlock, count, rows.scale, maximum[i], sum[i]);
        if (key > 0 && rescale != 1.0f) scale_row(sums + i * out_width, out_width, rescale);
      }
      for (int64_t p = 0; p < value_panels; ++p) {
        multiply_rows(queries, scores, kKeyBlock, rows.values + (p * rows.num_keys + key) * kPanel, count,
                      sums + p * kPanel, out_width, key > 0);
      }
    }
    for (int64_t i = 0; i < queries; ++i) {
      const float factor = 1.0f / sum[i];
      float* out = rows.out + (start + i) * rows.out_stride;
      for (int64_t c = 0; c < rows.value_width; ++c) out[c] = sums[i * out_width + c] * factor;
    }
  }
  __builtin_free(scores);
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
        keys(0),
        values(keys + padded * w.key_width),
        scores(values + cells * out_width),
        sums(scores + queries * padded),
        rows(sums + queries * out_width),
        size(rows + queries * w.key_width) {}
  int64_t y0, y1, x0, x1, columns, cells, padded, out_width, queries;
  int64_t keys, values, scores, sums, rows, size;  // offsets
};

int64_t window_scratch(const AttentionKernel::Window& largest) {
  AttentionKernel::Window window = largest;
  window.height = window.width = 1 << 20;  // somewhere in the middle of a large map
  window.y = window.x = 1 << 10;
  return WindowLayout(window).size;
}

// Softmax of one query's scores over the cells of the layout; cells outside its own window become 0.
void windowed_softmax(const AttentionKernel::Window& w, const WindowLayout& layout, int64_t y, int64_t x,
                      float* scores) {
  const int64_t side = 2 * w.radius + 1;
  const int64_t from_y = y - w.radius > layout.y0 ? y - w.radius : layout.y0,
                to_y = at_most(y + w.radius + 1, layout.y1);
  const int64_t from_x = x - w.radius > layout.x0 ? x - w.radius : layout.x0,
                to_x = at_most(x + w.radius + 1, layout.x1);
  const int64_t count = to_x - from_x;
  const float* bias = w.relative + (y * w.width + x) * side * side;
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t cy = from_y; cy < to_y; ++cy) {
    float* row = scores + (cy - layout.y0) * layout.columns + (from_x - layout.x0);
    const float* b = bias + (cy - y + w.radius) * side + (from_x - x + w.radius);
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < count; ++i) {
      row[i] = row[i] * w.scale + b[i];
      largest = row[i] > largest ? row[i] : largest;
    }
  }
  float total = 0.0f;
  for (int64_t cy = from_y; cy < to_y; ++cy) {
    float* row = scores + (cy - layout.y0) * layout.columns + (from_x - layout.x0);
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < count; ++i) {
      row[i] = exp_negative(row[i] - largest);
      total += row[i];
    }
  }
  const float factor = 1.0f / total;
  for (int64_t cy = layout.y0; cy < layout.y1; ++cy) {
    float* row = scores + (cy - layout.y0) * layout.columns;
    const bool is_inside = cy >= from_y && cy < to_y;
    const int64_t begin = is_inside ? from_x - layout.x0 : layout.columns,
                  end = is_inside ? begin + count : begin;
    for (int64_t i = 0; i < begin; ++i) row[i] = 0.0f;
    for (int64_t i = begin; i < end; ++i) row[i] *= factor;
    for (int64_t i = end; i < layout.columns; ++i) row[i] = 0.0f;
  }
}

void attend_window(const AttentionKernel::Window& w) {
  const WindowLayout layout(w);
  float* keys = w.scratch + layout.keys;
  float* values = w.scratch + layout.values;
  float* scores = w.scratch + layout.scores;
  float* sums = w.scratch + layout.sums;
  float* rows = w.scratch + layout.rows;
  const int64_t out_panels = layout.out_width / kPanel;
  for (int64_t c = layout.cells; c < layout.padded; ++c) {
    for (int64_t i = 0; i < w.key_width; ++i)
      keys[(c / kPanel * w.key_width + i) * kPanel + c % kPanel] = 0.0f;
  }
  for (int64_t c = 0; c < layout.cells; ++c) {
    const int64_t token = (layout.y0 + c / layout.columns) * w.width + layout.x0 + c % layout.columns;
    const float* k = w.k + token * w.k_stride;
    float* key = keys + c / kPanel * w.key_width * kPanel + c % kPanel;
    for (int64_t i = 0; i < w.key_width; ++i) key[i * kPanel] = k[i];
    const float* v = w.v + token * w.v_stride;
    for (int64_t p = 0; p < out_panels; ++p) {
      float* value = values + (p * layout.cells + c) * kPanel;
      const int64_t channels = at_most(kPanel, w.value_width - p * kPanel);
      for (int64_t i = 0; i < channels; ++i) value[i] = v[p * kPanel + i];
      for (int64_t i = channels; i < kPanel; ++i) value[i] = 0.0f;
    }
  }
  for (int64_t i = 0; i < layout.queries; ++i) {
    const int64_t token = (w.y + i / w.num_columns) * w.width + w.x + i % w.num_columns;
    std::memcpy(rows + i * w.key_width, w.q + token * w.q_stride, w.key_width * sizeof(float));
  }
  for (int64_t p = 0; p < layout.padded / kPanel; ++p) {
    multiply_rows(layout.queries, rows, w.key_width, keys + p * kPanel * w.key_width, w.key_width,
                  scores + p * kPanel, layout.padded, false);
  }
  for (int64_t i = 0; i < layout.queries; ++i) {
    windowed_softmax(w, layout, w.y + i / w.num_columns, w.x + i % w.num_columns, scores + i * layout.padded);
  }
  for (int64_t p = 0; p < out_panels; ++p) {
    multiply_rows(layout.queries, scores, layout.padded, values + p * layout.cells * kPanel, layout.cells,
                  sums + p * kPanel, layout.out_width, false);
  }
  for (int64_t i = 0; i < layout.queries; ++i) {
    const int64_t token = (w.y + i / w.num_columns) * w.width + w.x + i % w.num_columns;
    std::memcpy(w.out + token * w.value_width, sums + i * layout.out_width, w.value_width * sizeof(float));
  }
}

}  // namespace

}  // namespace hqtrack
