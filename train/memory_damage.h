#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "train/random.h"

namespace hqtrack {

/// Spoils a label map that is about to enter memory the way a tracker's own mistakes would: a false blob or a
/// hole, a shift, a mask too fat or too thin, half an object lost, two objects exchanged on one side of a
/// line. One or two such mistakes. A network trained on such memory learns not to trust the previous frame
/// blindly; reference maps are true by definition and must not be passed here.
///
/// labels: uint8 [H, W], contiguous, on the CPU, changed in place. slots: the objects' labels, at least one.
/// No other labels appear.
void damage_labels(at::Tensor& labels, const std::vector<int64_t>& slots, Random& random);

}  // namespace hqtrack
