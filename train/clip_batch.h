#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "train/clip.h"
#include "train/random.h"

namespace hqtrack {

/// Clips ready for the network: their objects have been given identity slots.
struct ClipBatch {
  at::Tensor images;  // uint8 RGB [T, B, H, W, 3]: all first frames, all second frames ...
  at::Tensor labels;  // uint8 [T, B, H, W]; identity slots, 0 = background, 255 = not known
  at::Tensor valid;   // bool [B, 1 + num_slots]: classes that may win a pixel
  std::vector<std::vector<int64_t>> slots;  // of each clip's objects

  int64_t num_frames() const { return images.size(0); }
  int64_t num_clips() const { return images.size(1); }
};

/// Puts clips of one size and length together. A third of the clips gets slots 1..n, as in use; the others
/// get n different slots by chance, so that all are trained. Slots below the highest one used are sometimes
/// valid though nothing carries them: the network has to leave them empty. Throws c10::Error for more objects
/// than slots.
ClipBatch make_batch(const std::vector<Clip>& clips, int64_t num_slots, Random& random);

}  // namespace hqtrack
