#pragma once

#include <cstdint>

namespace hqtrack {

/// softmax(scale * q k^T) v of float32 on the CPU, for one head: scores exist only as tiles of a block of
/// queries and a block of keys, with the running maximum and sum of each query's row. Keys (as MatrixKernel
/// packs rows) and values are packed once for all queries, into panels that the innermost loop reads from
/// front to end; in bfloat16, keys, queries, values and softmax's results are rounded as MatrixKernel does.
struct AttentionKernel {
  /// Channels [panel * index, panel * (index + 1)) of v [count, width] as packed[index]: [count, panel], 0
  /// behind the last; panel and words: of MatrixKernel.
  void (*pack_values)(const float* v, int64_t stride, int64_t count, int64_t width, int64_t index,
                      float* packed);

  /// Rows of a result. Sizes in elements; `keys` and `values` are packed.
  struct Rows {
    const float* q;    // [num_queries, key_width]
    int64_t q_stride;  // of its rows
    int64_t num_queries, num_keys, key_width, value_width;
    const float* keys;
    const float* values;
    float scale;
    float* out;  // [num_queries, value_width]
    int64_t out_stride;
    // Keys that are the cells of a map, row by row: row_scores[query][y] + column_scores[query][x] is added
    // to q k^T before it is scaled. Null: nothing is added.
    const float* row_scores = nullptr;     // [num_queries, num_keys / map_width]
    const float* column_scores = nullptr;  // [num_queries, map_width]
    int64_t map_width = 0;
    // Further values whose scores are known already, scaled.
    const float* scored = nullptr;         // [num_queries, num_scored]
    const float* scored_values = nullptr;  // [num_scored, value_width], packed
    int64_t num_scored = 0;
    // For keys that come in several calls: largest scaled score and sum of exp(score - largest) of each query
    // so far, to which `out` belongs; both are brought up to date. Null: these are all keys.
    float* so_far = nullptr;  // [num_queries, 2]
    bool continues = false;   // these are not the first ones
  };
  void (*attend)(const Rows& rows);

  /// Adds softmax of each row of scores [num_queries, count], summed over the rows, to shares [count].
  void (*add_shares)(const float* scores, int64_t num_queries, int64_t count, float* shares);

  /// Local attention of the queries [y, y + num_rows) x [x, x + num_columns) of a map of tokens: each sees
  /// the (2 radius + 1)^2 cells around it, as far as they are on the map.
  struct Window {
    const float *q, *k, *v, *relative;  // tokens [height * width, ...]; relative: added to the scaled scores
    int64_t q_stride, k_stride, v_stride;  // of a token; of `relative` (2 radius + 1)^2
    int64_t height, width, radius, y, x, num_rows, num_columns, key_width, value_width;
    float scale;
    float* out;      // tokens [height * width, value_width]
    float* scratch;  // window_scratch(...) elements
  };
  void (*attend_window)(const Window& window);
  /// For windows of at most these rows and columns.
  int64_t (*window_scratch)(const Window& largest);
};

}  // namespace hqtrack
