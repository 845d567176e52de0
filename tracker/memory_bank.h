#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/state_file.h"
#include "tracker/gated_propagation.h"

namespace hqtrack {

/// Long-term memory of one block: a ring of frames in one allocation. The frames it begins with, or else the
/// first one pushed, are the reference and stay; when the ring is full, a new frame takes the place of the
/// oldest of the others (docs/vmos.md, section 7).
class MemoryBank {
 public:
  /// capacity_frames >= 1. Where frames that stay fill it, only references are kept, the newest one in the
  /// last place.
  explicit MemoryBank(int64_t capacity_frames) : capacity_(capacity_frames) {}

  /// Forgets all; these stay from now on, the last ones where there is no room for all.
  void begin(std::span<const MemoryFrame> references);
  /// All frames have one size, that of the first. [1, T, C] each. replaces_last: the frame pushed last gives
  /// its place to this one.
  void push(const MemoryFrame& frame, bool is_reference, bool replaces_last = false);
  /// All frames kept, side by side: views into the ring, valid until the next push.
  MemoryFrame frames() const;
  int64_t num_frames() const { return count_; }
  int64_t num_bytes() const;

  void save(StateWriter& state, const std::string& name) const;
  /// What `save` wrote; the tensors go to `device`.
  void restore(const StateReader& state, const std::string& name, at::Device device);

 private:
  void allocate(const at::Tensor& key, const at::Tensor& value);
  void put(const MemoryFrame& frame);

  int64_t capacity_, count_ = 0, last_ = -1;  // last_: place of the frame pushed last
  int64_t num_staying_ = 0;                   // in the first places
  int64_t tokens_ = 0;                        // of a frame
  at::Tensor keys_, values_;                  // [1, capacity * T, C]
};

}  // namespace hqtrack
