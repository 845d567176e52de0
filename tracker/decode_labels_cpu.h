#pragma once

#include "tracker/decode_labels.h"

namespace hqtrack {

constexpr double kSmallestMerged = 1e-5;  // of a merged probability (docs/vmos.md, section 6)

/// decode_labels for float32 logits on the CPU, row by row and only where background does not lead clearly.
DecodedLabels decode_labels_cpu(const std::vector<at::Tensor>& logits, GridSize size,
                                int64_t objects_per_engine, const at::Tensor& slots);

}  // namespace hqtrack
