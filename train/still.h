#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "train/example_source.h"

namespace hqtrack {

/// A picture with the masks of its objects. In training its longer edge is that of the network's input.
struct Still {
  at::Tensor image;         // uint8 RGB [H, W, 3], contiguous
  at::Tensor labels;        // uint8 [H, W], contiguous; 0 = background, objects 1..num_objects
  int64_t num_objects = 0;  // some may be hidden, but not all
  at::Tensor tracked = {};  // as labels: where a tracker sees them; undefined without one
};

using StillSource = ExampleSource<Still>;

}  // namespace hqtrack
