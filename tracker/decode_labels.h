#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "tracker/layers.h"

namespace hqtrack {

/// Logits of all engines [1, 1 + objects, h4, w4] enlarged to `size` and, when there are several engines,
/// merged by soft aggregation (docs/vmos.md, section 6): [1, 1 + slots, H, W]. With several engines every
/// engine counts as full: slots = engines * objects_per_engine, and the missing objects have probability 0.
/// Any device.
at::Tensor merge_logits(const std::vector<at::Tensor>& logits, GridSize size, int64_t objects_per_engine);

struct DecodedLabels {
  at::Tensor slots;                // uint8 [H, W] on the CPU: the most probable slot, the lowest on a tie
  std::vector<double> mean_score;  // by slot, background first: mean probability over the slot's pixels, or 0
};

/// Argmax of softmax(merge_logits(...)) and the mean score of each slot, without the full-size maps. slots:
/// where the labels are written, uint8 [H, W] with whole rows on the CPU, of which `size` is the size; by
/// default a new tensor.
DecodedLabels decode_labels(const std::vector<at::Tensor>& logits, GridSize size, int64_t objects_per_engine,
                            at::Tensor slots = {});

}  // namespace hqtrack
