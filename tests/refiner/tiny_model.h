#pragma once

#include <ATen/ATen.h>

#include "core/config.h"
#include "core/weights/rule_weights.h"
#include "refiner/hq_sam.h"

namespace hqtrack::testing {

/// HQ-SAM of a few thousand parameters: the published structure with small numbers. The grid of 6 x 6 cells
/// is no multiple of the windows.
inline RefinerConfig tiny_config(const std::string& type = "vit") {
  RefinerConfig config;
  config.image_size = 96;
  config.decoder = {.width = 32, .heads = 2, .mlp_width = 48, .hq_branch = true};
  config.encoder = type == "vit" ? RefinerEncoderConfig{"vit", {24}, {3}, {2}, {4}, {1}}
                                 : RefinerEncoderConfig{"tiny_vit",   {8, 16, 16, 24}, {1, 1, 2, 1},
                                                        {1, 2, 2, 3}, {1, 5, 4, 3},    {}};
  return config;
}

inline HqSam tiny_network(const RefinerConfig& config) {
  HqSam network(config);
  fill_by_hq_sam_rule(*network, "tiny/");
  return network;
}

/// Noise with a bright square from (x, y) on, `edge` pixels wide.
inline at::Tensor picture_with_square(int64_t height, int64_t width, int64_t x, int64_t y, int64_t edge) {
  at::manual_seed(11);
  at::Tensor picture = at::randint(0, 120, {height, width, 3}, at::kByte);
  picture.narrow(0, y, edge).narrow(1, x, edge).fill_(240);
  return picture;
}

}  // namespace hqtrack::testing
