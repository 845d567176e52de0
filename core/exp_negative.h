#pragma once

#include <cstdint>

namespace hqtrack {

/// exp(x) for x <= 0, relative error below 2e-7: 2^n * p(r), r = x log2(e) - n in [-0.5, 0.5]. Below -87 it
/// gives about 1e-38, which vanishes beside a softmax's own maximum of 1. Branch-free, so that loops over it
/// become vectors; static, as it is compiled for several instruction sets.
static inline float exp_negative(float x) {
  const float t = (x > -87.0f ? x : -87.0f) * 1.44269504f;
  const float shifted = t + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest whole number
  const float r = t - (shifted - 12582912.0f);
  float p = 1.5353362e-4f;
  p = p * r + 1.3398874e-3f;
  p = p * r + 9.6184373e-3f;
  p = p * r + 5.5503324e-2f;
  p = p * r + 2.4022648e-1f;
  p = p * r + 6.9314720e-1f;
  p = p * r + 1.0f;
  return __builtin_bit_cast(float,
                            __builtin_bit_cast(int32_t, p) + (__builtin_bit_cast(int32_t, shifted) << 23));
}

}  // namespace hqtrack
