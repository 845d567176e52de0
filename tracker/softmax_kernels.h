#pragma once

#include <cstdint>

namespace hqtrack {

/// One step of a softmax taken tile by tile: replaces scores[0..count) by exp(scale * score - m), where m is
/// the larger of `maximum` and the tile's own scaled maximum; adds them to `sum` (itself rescaled to the new
/// maximum). Returns the factor by which what was accumulated under the old maximum has to be multiplied.
float softmax_step(float* scores, int64_t count, float scale, float& maximum, float& sum);

/// Softmax over a window of a row of scores that covers `rows` x `columns` cells: of each row of cells only
/// the `width` cells from `from` on take part, with bias[row * bias_stride + cell] added to scale * score;
/// all others become 0.
void windowed_softmax(float* scores, int64_t rows, int64_t columns, int64_t from, int64_t width,
                      const float* bias, int64_t bias_stride, float scale);

void scale_row(float* row, int64_t count, float factor);

}  // namespace hqtrack
