#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hqtrack {

/// Where a value of a line that is enlarged bilinearly, with align_corners = true, comes from.
struct LinearTap {
  int64_t low, high;
  float weight;  // of high
};

inline std::vector<LinearTap> linear_taps(int64_t in, int64_t out) {
  const float scale = out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f;
  std::vector<LinearTap> taps(out);
  for (int64_t i = 0; i < out; ++i) {
    const float position = scale * static_cast<float>(i);
    const int64_t low = std::min(static_cast<int64_t>(position), in - 1);
    taps[i] = {low, std::min(low + 1, in - 1), position - static_cast<float>(low)};
  }
  return taps;
}

}  // namespace hqtrack
