#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "core/label_mask.h"
#include "core/state_file.h"

namespace hqtrack {

/// Drops the parts of masks that lie far from where their objects were in the frame before: what looks like
/// an object elsewhere is another one (docs/vmos.md, section 12). Used by one thread.
class StrayParts {
 public:
  /// margin: how far is far, times the square root of the object's area before; 0: nothing is dropped.
  explicit StrayParts(double margin) : margin_(margin) {}

  /// Where objects are, as it was given: uint8 [H, W] of ids, contiguous, on the CPU.
  void see(const at::Tensor& label_mask);
  /// Labels that were tracked, uint8 [H, W] of slots, contiguous, on the CPU: stray parts become background.
  /// ids: of the slots, 0 where there is no object.
  void drop(const at::Tensor& slots, const std::array<uint8_t, 256>& ids);

  void save(StateWriter& state) const;
  /// What `save` wrote. Throws WeightsError.
  void restore(const StateReader& state);

 private:
  double margin_;
  std::array<Region, 256> before_{};  // by id
};

}  // namespace hqtrack
