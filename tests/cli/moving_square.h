#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace hqtrack::testing {

/// A bright square that crosses a dark, textured ground; every file of it is drawn and encoded by the test
/// itself.
struct MovingSquare {
  int64_t height = 96, width = 128, side = 32;

  /// uint8 [height, width]: 0, and `id` where the square is in that frame.
  at::Tensor mask(int64_t frame_index, int64_t id = 1) const;
  /// uint8 RGB [height, width, 3].
  at::Tensor image(int64_t frame_index) const;
  /// A video of 25 frames a second; container by extension.
  void write_video(const std::filesystem::path& file, int64_t num_frames) const;
};

/// Number of frames of a video that can be decoded; damage ends the count. 0 when it cannot be opened.
int64_t count_frames(const std::filesystem::path& file);

/// Leaves the first share of a file.
void truncate_file(const std::filesystem::path& file, double share);

}  // namespace hqtrack::testing
