#include "tracker/memory_bank.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace hqtrack {

void MemoryBank::push(const MemoryFrame& frame, bool is_reference, bool replaces_last) {
  if (count_ == 0) return begin({&frame, 1});
  if (num_staying_ == capacity_) {
    if (!is_reference) return;
    last_ = capacity_ - 1;
  } else if (!replaces_last) {
    last_ = last_ + 1 < capacity_ ? last_ + 1 : num_staying_;
  }
  put(frame);
}

void MemoryBank::begin(std::span<const MemoryFrame> references) {
  references = references.last(std::min(references.size(), static_cast<size_t>(capacity_)));
  count_ = 0;
  for (last_ = 0; const MemoryFrame& frame : references) {
    put(frame);
    ++last_;
  }
  num_staying_ = last_--;
}

void MemoryBank::put(const MemoryFrame& frame) {
  if (!keys_.defined()) allocate(frame.key, frame.value);
  TORCH_CHECK(frame.key.size(0) == 1 && frame.key.size(1) == tokens_, "memory bank: expected [1, ", tokens_,
              ", C], found ", frame.key.sizes());
  keys_.narrow(1, last_ * tokens_, tokens_).copy_(frame.key);
  values_.narrow(1, last_ * tokens_, tokens_).copy_(frame.value);
  count_ = std::max(count_, last_ + 1);
}

void MemoryBank::allocate(const at::Tensor& key, const at::Tensor& value) {
  tokens_ = key.size(1);
  keys_ = at::empty({1, capacity_ * tokens_, key.size(2)}, key.options());
  values_ = at::empty({1, capacity_ * tokens_, value.size(2)}, value.options());
}

MemoryFrame MemoryBank::frames() const {
  return {keys_.narrow(1, 0, count_ * tokens_), values_.narrow(1, 0, count_ * tokens_), {}};
}

int64_t MemoryBank::num_bytes() const {
  return keys_.defined() ? static_cast<int64_t>(keys_.nbytes() + values_.nbytes()) : 0;
}

void MemoryBank::save(StateWriter& state, const std::string& name) const {
  state.put(name + ".frames", count_);
  state.put(name + ".last", last_);
  state.put(name + ".staying", num_staying_);
  if (count_ == 0) return;
  state.put(name + ".keys", frames().key);
  state.put(name + ".values", frames().value);
}

void MemoryBank::restore(const StateReader& state, const std::string& name, at::Device device) {
  const int64_t count = state.number(name + ".frames"), last = state.number(name + ".last"),
                staying = state.number(name + ".staying");
  if (count < 0 || count > capacity_ || last < -1 || last >= count || staying < 0 || staying > count) {
    state.fail(name + ": expected at most " + std::to_string(capacity_) + " frames, found " +
               std::to_string(count));
  }
  *this = MemoryBank(capacity_);
  if (count == 0) return;
  const at::Tensor &keys = state.tensor(name + ".keys", 3, at::kFloat),
                   &values = state.tensor(name + ".values", 3, at::kFloat);
  if (keys.size(0) != 1 || values.size(0) != 1 || keys.size(1) != values.size(1) ||
      keys.size(1) % count != 0) {
    state.fail(name + ": expected as many keys as values, found other sizes");
  }
  allocate(keys.narrow(1, 0, keys.size(1) / count).to(device),
           values.narrow(1, 0, keys.size(1) / count).to(device));
  keys_.narrow(1, 0, keys.size(1)).copy_(keys);
  values_.narrow(1, 0, keys.size(1)).copy_(values);
  count_ = count;
  last_ = last;
  num_staying_ = staying;
}

}  // namespace hqtrack
