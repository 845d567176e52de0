#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <stop_token>

namespace hqtrack {

/// A drawn video: a coarse, noisy pattern that drifts behind patterned discs, each of which circles within a
/// field of its own.
class SyntheticClip {
 public:
  /// num_objects: 1..255.
  SyntheticClip(int64_t height, int64_t width, int64_t num_objects);

  at::Tensor picture(int64_t frame) const;     // uint8 RGB [H, W, 3]
  at::Tensor label_mask(int64_t frame) const;  // uint8 [H, W]; the discs are 1, 2 ... num_objects

  /// Encodes the first frames as a video (H.264 in .mp4) at 25 frames a second; fewer of them when stopped.
  /// Throws OutputError.
  void write(const std::filesystem::path& file, int64_t num_frames, std::stop_token stop = {}) const;

 private:
  struct Disc;
  Disc disc(int64_t id, int64_t frame) const;

  int64_t height_, width_, num_objects_;
  at::Tensor pattern_;  // uint8 [side, side, 3], repeats in both directions
};

}  // namespace hqtrack
