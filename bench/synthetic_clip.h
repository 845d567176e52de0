#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace hqtrack {

/// A drawn video: a coarse, noisy pattern that drifts behind two patterned disks on their own paths.
class SyntheticClip {
 public:
  SyntheticClip(int64_t height, int64_t width);

  at::Tensor picture(int64_t frame) const;     // uint8 RGB [H, W, 3]
  at::Tensor label_mask(int64_t frame) const;  // uint8 [H, W]; the disks are 1 and 2, 2 lies on top

  /// Encodes the first frames as a video (H.264 in .mp4) at 25 frames a second. Throws OutputError.
  void write(const std::filesystem::path& file, int64_t num_frames) const;

 private:
  struct Disk;
  Disk disk(int64_t id, int64_t frame) const;

  int64_t height_, width_;
  at::Tensor pattern_;  // uint8 [side, side, 3], repeats in both directions
};

}  // namespace hqtrack
