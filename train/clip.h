#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hqtrack {

/// A short square video with its true masks, as the trainer takes it.
struct Clip {
  at::Tensor images;  // uint8 RGB [frames, size, size, 3]
  at::Tensor labels;  // uint8 [frames, size, size]; 0 = background, objects 1..num_objects, 255 = not known
  int64_t num_objects = 0;  // all of them visible in frame 0, the reference
};

/// Clips by number. The same number gives the same clip, whatever was asked for before and by which thread.
class ClipSource {
 public:
  virtual ~ClipSource() = default;
  virtual Clip clip(int64_t number) const = 0;
};

}  // namespace hqtrack
