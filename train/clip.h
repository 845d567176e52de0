#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "train/example_source.h"

namespace hqtrack {

/// A short video with its true masks, as the trainer takes it.
struct Clip {
  at::Tensor images;  // uint8 RGB [frames, height, width, 3]
  at::Tensor
      labels;  // uint8 [frames, height, width]; 0 = background, objects 1..num_objects, 255 = not known
  int64_t num_objects = 0;  // all of them visible in frame 0, the reference
};

using ClipSource = ExampleSource<Clip>;

}  // namespace hqtrack
