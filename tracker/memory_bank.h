#pragma once

#include <vector>

#include "tracker/gated_propagation.h"

namespace hqtrack {

/// Long-term memory of one block: a ring of frames in one allocation. The first frame pushed is the reference
/// and stays; when the ring is full, a new frame takes the place of the oldest of the others
/// (docs/vmos.md, section 7).
class MemoryBank {
 public:
  /// capacity_frames >= 1. With 1, only reference frames are kept, the newest one.
  explicit MemoryBank(int64_t capacity_frames) : capacity_(capacity_frames) {}

  /// All frames have one size, that of the first. [1, T, C] each.
  void push(const MemoryFrame& frame, bool is_reference);
  /// All frames kept, side by side: views into the ring, valid until the next push.
  MemoryFrame frames() const;
  int64_t num_frames() const { return count_; }
  int64_t num_bytes() const;

 private:
  int64_t capacity_, count_ = 0, next_ = 0;  // next_: slot the next frame takes
  int64_t tokens_ = 0;
  at::Tensor keys_, values_;  // [1, capacity * T, C]
};

}  // namespace hqtrack
