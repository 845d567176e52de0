#pragma once

#include <ATen/ATen.h>

#include "core/config.h"
#include "core/weights/rule_weights.h"
#include "tracker/vmos.h"

namespace hqtrack::testing {

/// A VMOS of a few thousand parameters: the published structure with small numbers.
inline TrackerConfig tiny_config() {
  TrackerConfig config;
  config.encoder = {"internimage", 16, {1, 1, 1, 1}, {2, 2, 4, 4}};
  config.propagation_16x = {2, 16, 8};
  config.propagation_8x = {1, 16, 8};
  config.width_4x = 8;
  config.local_radius = 3;
  config.objects_per_engine = 3;
  config.preprocess.short_edge = 49;
  config.preprocess.short_edge_rule = "exactly";
  config.preprocess.max_long_edge = 129;
  config.memory = {4, 3, 2, 2};
  return config;
}

inline Vmos tiny_network(const TrackerConfig& config = tiny_config()) {
  Vmos network(config);
  fill_by_vmos_rule(*network, "tiny/");
  network->eval();
  return network;
}

/// Two discs that move over a gradient; frame t of size [height, width, 3].
inline at::Tensor moving_discs(int64_t t, int64_t height = 60, int64_t width = 80) {
  at::Tensor image = at::empty({height, width, 3}, at::kByte);
  uint8_t* out = image.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x, out += 3) {
      const auto near = [&](int64_t cx, int64_t cy) {
        return (x - cx) * (x - cx) + (y - cy) * (y - cy) < 100;
      };
      const bool first = near(20 + t, 20), second = near(60 - t, 40);
      out[0] = first ? 220 : static_cast<uint8_t>(x * 2);
      out[1] = second ? 220 : static_cast<uint8_t>(y * 2);
      out[2] = 90;
    }
  }
  return image;
}

/// Their labels in frame 0: ids `first` and `second`.
inline at::Tensor disc_labels(uint8_t first, uint8_t second, int64_t height = 60, int64_t width = 80) {
  at::Tensor labels = at::zeros({height, width}, at::kByte);
  const at::Tensor image = moving_discs(0, height, width);
  labels.masked_fill_(image.select(2, 0) == 220, first);
  labels.masked_fill_(image.select(2, 1) == 220, second);
  return labels;
}

}  // namespace hqtrack::testing
