#include "pipeline/synthetic_clip.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "io/outputs.h"

namespace hqtrack {
namespace {

constexpr int64_t kPatternSide_px = 1024;  // a power of two, so that wrapping is a bit mask
constexpr int64_t kFramesPerSecond = 25;

/// Soft coloured blotches of several sizes, so that an encoder has as much to do as with a filmed picture.
at::Tensor draw_pattern() {
  at::Tensor pattern = at::empty({kPatternSide_px, kPatternSide_px, 3}, at::kByte);
  uint8_t* out = pattern.mutable_data_ptr<uint8_t>();
  std::mt19937 random(1);
  const double turn = 2 * std::acos(-1.0) / kPatternSide_px;
  for (int64_t y = 0; y < kPatternSide_px; ++y) {
    for (int64_t x = 0; x < kPatternSide_px; ++x) {
      const double u = turn * static_cast<double>(x), v = turn * static_cast<double>(y);
      const double coarse = std::sin(5 * u + 3 * std::sin(4 * v)),
                   fine = std::sin(23 * v + 2 * std::sin(19 * u));
      const double noise = static_cast<double>(random() % 1000) / 1000;
      *out++ = static_cast<uint8_t>(110 + 50 * coarse + 30 * fine + 12 * noise);
      *out++ = static_cast<uint8_t>(110 + 40 * fine + 40 * std::sin(7 * v + coarse) + 12 * noise);
      *out++ = static_cast<uint8_t>(110 - 50 * coarse + 30 * std::sin(11 * u) + 12 * noise);
    }
  }
  return pattern;
}

}  // namespace

struct SyntheticClip::Disc {
  double x, y, radius;
  bool covers(int64_t px, int64_t py) const {
    const double dx = static_cast<double>(px) - x, dy = static_cast<double>(py) - y;
    return dx * dx + dy * dy <= radius * radius;
  }
};

SyntheticClip::SyntheticClip(int64_t height, int64_t width, int64_t num_objects)
    : height_(height), width_(width), num_objects_(num_objects), pattern_(draw_pattern()) {}

SyntheticClip::Disc SyntheticClip::disc(int64_t id, int64_t frame) const {
  const double h = static_cast<double>(height_), w = static_cast<double>(width_),
               count = static_cast<double>(num_objects_), k = static_cast<double>(id),
               t = static_cast<double>(frame) / kFramesPerSecond;
  const double columns = std::ceil(std::sqrt(count * w / h)), rows = std::ceil(count / columns);
  const double field_w = w / columns, field_h = h / rows, across = std::min(field_w, field_h);
  const double column = std::fmod(k - 1, columns), row = std::floor((k - 1) / columns);
  return {field_w * (column + 0.5 + 0.15 * std::sin(0.9 * t + k)),
          field_h * (row + 0.5 + 0.15 * std::cos(0.7 * t + 2 * k)), 0.25 * across};
}

at::Tensor SyntheticClip::label_mask(int64_t frame) const {
  at::Tensor mask = at::zeros({height_, width_}, at::kByte);
  auto labels = mask.accessor<uint8_t, 2>();
  for (int64_t id = 1; id <= num_objects_; ++id) {
    const Disc disc = this->disc(id, frame);
    const auto first = [&](double centre) {
      return static_cast<int64_t>(std::max(0.0, centre - disc.radius));
    };
    const auto end = [&](double centre, int64_t size) {
      return std::min(size, static_cast<int64_t>(centre + disc.radius) + 1);
    };
    for (int64_t y = first(disc.y); y < end(disc.y, height_); ++y) {
      for (int64_t x = first(disc.x); x < end(disc.x, width_); ++x) {
        if (disc.covers(x, y)) labels[y][x] = static_cast<uint8_t>(id);
      }
    }
  }
  return mask;
}

at::Tensor SyntheticClip::picture(int64_t frame) const {
  at::Tensor image = at::empty({height_, width_, 3}, at::kByte);
  const at::Tensor mask = label_mask(frame);
  const uint8_t* label = mask.const_data_ptr<uint8_t>();
  const uint8_t* pattern = pattern_.const_data_ptr<uint8_t>();
  uint8_t* out = image.mutable_data_ptr<uint8_t>();
  // What each label shows: where its pattern begins and how often it repeats.
  struct Texture {
    int64_t x, y, step, tint[3];
  };
  std::vector<Texture> textures = {{frame, frame / 2, 1, {0, 0, 0}}};
  for (int64_t id = 1; id <= num_objects_; ++id) {  // carried along with the disc
    const Disc disc = this->disc(id, frame);
    textures.push_back({-static_cast<int64_t>(disc.x),
                        -static_cast<int64_t>(disc.y),
                        3 + 2 * (id % 3),
                        {90 * (id % 2), 60 * (id / 2 % 2), 90 * (id / 4 % 2)}});
  }
  for (int64_t y = 0; y < height_; ++y) {
    for (int64_t x = 0; x < width_; ++x) {
      const Texture& texture = textures[*label++];
      const int64_t from_x = ((x + texture.x) * texture.step) & (kPatternSide_px - 1);
      const int64_t from_y = ((y + texture.y) * texture.step) & (kPatternSide_px - 1);
      const uint8_t* from = pattern + (from_y * kPatternSide_px + from_x) * 3;
      for (int c = 0; c < 3; ++c)
        *out++ = static_cast<uint8_t>(std::min<int64_t>(255, from[c] + texture.tint[c]));
    }
  }
  return image;
}

void SyntheticClip::write(const std::filesystem::path& file, int64_t num_frames, std::stop_token stop) const {
  VideoInfo info;
  info.height = height_;
  info.width = width_;
  info.rate_num = kFramesPerSecond;
  info.time_base_num = 1;
  info.time_base_den = kFramesPerSecond;
  info.num_frames = num_frames;
  info.duration_us = num_frames * 1'000'000 / kFramesPerSecond;
  const auto sink = open_video_sink(file, info, OverlayConfig{}, EncodeConfig{});
  const at::Tensor nothing = at::zeros({height_, width_}, at::kByte);
  for (int64_t i = 0; i < num_frames && !stop.stop_requested(); ++i) {
    sink->write({.frame = {.index = i, .pts_us = i * 1'000'000 / kFramesPerSecond, .image = picture(i)},
                 .label_mask = nothing,
                 .objects = {}});
  }
  sink->finish();
}

}  // namespace hqtrack
