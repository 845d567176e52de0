#include "tests/cli/moving_square.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/error.h"
#include "io/frame_source.h"
#include "io/outputs.h"

namespace hqtrack::testing {
namespace fs = std::filesystem;

at::Tensor MovingSquare::mask(int64_t frame_index, int64_t id) const {
  const int64_t left = 8 + 2 * frame_index % (width - side - 16), top = 20 + frame_index % 20;
  at::Tensor labels = at::zeros({height, width}, at::kByte);
  labels.slice(0, top, top + side).slice(1, left, left + side).fill_(id);
  return labels;
}

at::Tensor MovingSquare::image(int64_t frame_index) const {
  const at::Tensor y = at::arange(height).unsqueeze(1), x = at::arange(width).unsqueeze(0);
  const at::Tensor ground = 40 + 20 * at::sin(x * 0.35) * at::cos(y * 0.27);
  const at::Tensor is_square = mask(frame_index).gt(0);
  const at::Tensor red = at::where(is_square, 230.0, ground),
                   green = at::where(is_square, 190.0, ground * 1.2),
                   blue = at::where(is_square, 60.0, ground * 0.8);
  return at::stack({red, green, blue}, 2).to(at::kByte).contiguous();
}

void MovingSquare::write_video(const fs::path& file, int64_t num_frames) const {
  VideoInfo info;
  info.height = height;
  info.width = width;
  info.rate_num = 25;
  const auto sink = open_video_sink(file, info, OverlayConfig{}, EncodeConfig{.quality = 10});
  const at::Tensor no_objects = at::zeros({height, width}, at::kByte);
  for (int64_t i = 0; i < num_frames; ++i) {
    sink->write({.frame = {.index = i, .pts_us = i * 40000, .image = image(i)},
                 .label_mask = no_objects,
                 .objects = {}});
  }
  sink->finish();
}

int64_t count_frames(const fs::path& file) {
  int64_t count = 0;
  try {
    const auto source = open_source(file.string());
    while (source->read()) ++count;
  } catch (const MediaError&) {
  }
  return count;
}

void truncate_file(const fs::path& file, double share) {
  fs::resize_file(file, static_cast<uintmax_t>(share * static_cast<double>(fs::file_size(file))));
}

}  // namespace hqtrack::testing
