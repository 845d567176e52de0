// Part of core/cpu_kernels_body.h.

#include "core/cpu_vector.h"
#include "core/depthwise_kernel.h"

namespace hqtrack {
namespace {

// Several sums at a time, so that a multiplication need not wait for the one before: that many vectors of a
// pixel, of kPixels[vectors] neighbours.
constexpr int kMostVectors = 4, kPixels[kMostVectors + 1] = {0, 8, 6, 4, 3};

// How many channels are one value. As a template's argument itself, `Vector` would lose its alignment.
struct Lanes {
  typedef Vector Value;
};
struct OneLane {
  typedef float Value;
};

// kNumPixels neighbours of a row of the result, kNumVectors values a pixel. More than one pixel
// only where none sees a column outside the map.
template <class L, int kNumVectors, int kNumPixels>
void convolve(const DepthwiseKernel::Rows& r, int64_t y, int64_t x, int64_t channel) {
  typedef typename L::Value T;
  constexpr int64_t kWidth = sizeof(T) / sizeof(float);
  T sum[kNumPixels][kNumVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kNumVectors; ++v) {
    const T start = r.bias ? *reinterpret_cast<const T*>(r.bias + channel + v * kWidth) : T{};
#pragma GCC unroll 8
    for (int p = 0; p < kNumPixels; ++p) sum[p][v] = start;
  }
  const int64_t y0 = y * r.stride - r.padding, x0 = x * r.stride - r.padding;
  const int64_t first = at_least(0, -x0), last = at_most(r.kernel, r.width - x0);
  for (int64_t ky = at_least(0, -y0); ky < at_most(r.kernel, r.height - y0); ++ky) {
    const float* in = r.in[y0 + ky] + (x0 + first) * r.channels + channel;
    const float* weight = r.weight + (ky * r.kernel + first) * r.channels + channel;
    for (int64_t kx = first; kx < last; ++kx, in += r.channels, weight += r.channels) {
#pragma GCC unroll 8
      for (int v = 0; v < kNumVectors; ++v) {
        const T factor = *reinterpret_cast<const T*>(weight + v * kWidth);
#pragma GCC unroll 8
        for (int p = 0; p < kNumPixels; ++p) {
          sum[p][v] += *reinterpret_cast<const T*>(in + p * r.stride * r.channels + v * kWidth) * factor;
        }
      }
    }
  }
  float* out = r.out + ((y - r.first_row) * r.out_width + x) * r.channels + channel;
#pragma GCC unroll 8
  for (int p = 0; p < kNumPixels; ++p) {
#pragma GCC unroll 8
    for (int v = 0; v < kNumVectors; ++v) {
      T value = sum[p][v];
      value = value < r.lowest ? T{} + r.lowest : value;
      value = value > r.highest ? T{} + r.highest : value;
      *reinterpret_cast<T*>(out + p * r.channels + v * kWidth) = value;
    }
  }
}

template <class L, int kNumVectors>
void convolve_row(const DepthwiseKernel::Rows& r, int64_t y, int64_t channel) {
  // Pixels from `inner_end` on, and those before `inner`, see columns outside the map.
  const int64_t inner = at_most(r.out_width, (r.padding + r.stride - 1) / r.stride);
  const int64_t room = r.width + r.padding - r.kernel;
  const int64_t inner_end = room < 0 ? inner : at_most(r.out_width, room / r.stride + 1);
  constexpr int kNumPixels = kPixels[kNumVectors];
  int64_t x = 0;
  for (; x < inner; ++x) convolve<L, kNumVectors, 1>(r, y, x, channel);
  for (; x + kNumPixels <= inner_end; x += kNumPixels) convolve<L, kNumVectors, kNumPixels>(r, y, x, channel);
  for (; x < r.out_width; ++x) convolve<L, kNumVectors, 1>(r, y, x, channel);
}

void convolve_rows(const DepthwiseKernel::Rows& r) {
  for (int64_t y = r.first_row; y < r.last_row; ++y) {
    int64_t channel = 0;
    for (int64_t vectors = r.channels / kLanes; vectors > 0;) {
      switch (vectors) {
        case 1:
          convolve_row<Lanes, 1>(r, y, channel);
          break;
        case 2:
          convolve_row<Lanes, 2>(r, y, channel);
          break;
        case 3:
          convolve_row<Lanes, 3>(r, y, channel);
          break;
        default:
          convolve_row<Lanes, kMostVectors>(r, y, channel);
      }
      const int64_t done = at_most(vectors, kMostVectors);
      vectors -= done;
      channel += done * kLanes;
    }
    for (; channel < r.channels; ++channel) convolve_row<OneLane, 1>(r, y, channel);
  }
}

}  // namespace
}  // namespace hqtrack
