#include "refiner/cutout.h"

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace hqtrack {
namespace {

constexpr float kEdge_px = 2.0f;

/// Logits of one picture.
struct Map {
  const float* logits;
  int64_t height, width;

  float at(int64_t x, int64_t y) const {
    return logits[std::clamp<int64_t>(y, 0, height - 1) * width + std::clamp<int64_t>(x, 0, width - 1)];
  }
  bool is_object(int64_t x, int64_t y) const { return at(x, y) > 0; }
};

/// Whether a pixel beside it is of the other side.
bool is_at_edge(const Map& map, int64_t x, int64_t y) {
  for (int64_t dy = -1; dy <= 1; ++dy) {
    for (int64_t dx = -1; dx <= 1; ++dx) {
      if (map.is_object(x + dx, y + dy) != map.is_object(x, y)) return true;
    }
  }
  return false;
}

uint8_t alpha_at(const Map& map, int64_t x, int64_t y) {
  const float logit = map.at(x, y);
  if (!is_at_edge(map, x, y)) return logit > 0 ? 255 : 0;
  const float slope_x = (map.at(x + 1, y) - map.at(x - 1, y)) / 2;
  const float slope_y = (map.at(x, y + 1) - map.at(x, y - 1)) / 2;
  const float slope = std::max(std::hypot(slope_x, slope_y), 1e-12f);
  const float alpha = std::round(127.5f + 255.0f / kEdge_px * logit / slope);
  return static_cast<uint8_t>(logit > 0 ? std::clamp(alpha, 128.0f, 255.0f)
                                        : std::clamp(alpha, 0.0f, 127.0f));
}

}  // namespace

at::Tensor cut_out(const at::Tensor& image, const at::Tensor& logits) {
  const int64_t height = logits.size(0), width = logits.size(1);
  TORCH_CHECK(image.sizes() == at::IntArrayRef({height, width, 3}), "cut-out: expected an image of ", height,
              " x ", width, " x 3, found ", image.sizes());
  at::Tensor result = at::zeros({height, width, 4}, at::kByte);
  const uint8_t* colour = image.const_data_ptr<uint8_t>();
  const Map map{logits.const_data_ptr<float>(), height, width};
  uint8_t* pixel = result.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x, pixel += 4, colour += 3) {
      pixel[3] = alpha_at(map, x, y);
      if (pixel[3] > 0) std::copy_n(colour, 3, pixel);
    }
  }
  return result;
}

}  // namespace hqtrack
