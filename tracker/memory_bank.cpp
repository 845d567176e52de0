#include "tracker/memory_bank.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace hqtrack {

void MemoryBank::push(const MemoryFrame& frame, bool is_reference) {
  if (capacity_ == 1 && !is_reference) return;
  if (!keys_.defined()) {
    tokens_ = frame.key.size(1);
    keys_ = at::empty({1, capacity_ * tokens_, frame.key.size(2)}, frame.key.options());
    values_ = at::empty({1, capacity_ * tokens_, frame.value.size(2)}, frame.value.options());
  }
  TORCH_CHECK(frame.key.size(0) == 1 && frame.key.size(1) == tokens_, "memory bank: expected [1, ", tokens_,
              ", C], found ", frame.key.sizes());
  keys_.narrow(1, next_ * tokens_, tokens_).copy_(frame.key);
  values_.narrow(1, next_ * tokens_, tokens_).copy_(frame.value);
  count_ = std::max(count_, next_ + 1);
  // Slot 0 is the reference; the others are taken in turn.
  next_ = capacity_ == 1 ? 0 : next_ % (capacity_ - 1) + 1;
}

MemoryFrame MemoryBank::frames() const {
  return {keys_.narrow(1, 0, count_ * tokens_), values_.narrow(1, 0, count_ * tokens_), {}};
}

int64_t MemoryBank::num_bytes() const {
  return keys_.defined() ? static_cast<int64_t>(keys_.nbytes() + values_.nbytes()) : 0;
}

}  // namespace hqtrack
