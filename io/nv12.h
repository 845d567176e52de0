#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Macros.h>

#include <cstdint>

namespace hqtrack {

/// A picture as video hardware leaves it: a plane of luma, and one of chroma pairs (U, V) at half its height
/// and width, rounded up. 8 bits: a byte a sample (NV12); more: the upper bits of two bytes (P010, P016).
struct Nv12Picture {
  const uint8_t* luma = nullptr;
  const uint8_t* chroma = nullptr;
  int64_t luma_pitch = 0, chroma_pitch = 0;  // bytes from row to row
  int height = 0, width = 0;
  int bits = 8;
  float chroma_x = 0.0F, chroma_y = 0.5F;  // where the first chroma sample lies, in luma samples
};

/// The formula that makes RGB of the picture's numbers u, v (chroma) and y.
struct YuvToRgb {
  float y_zero = 0.0F, y_scale = 1.0F;
  float uv_zero = 0.0F, red_v = 0.0F, green_u = 0.0F, green_v = 0.0F, blue_u = 0.0F;
};

/// coefficients: of a matrix, as sws_getCoefficients gives them: V in red, U in blue, U and V in green, for
/// 8 bits of limited range, times 65536.
inline YuvToRgb yuv_to_rgb(const int* coefficients, bool is_full_range, int bits) {
  const float unit = static_cast<float>(bits > 8 ? 1 << 8 : 1);  // of 8 bits, in the picture's numbers
  const float most = 256.0F * unit - static_cast<float>(bits > 8 ? 1 << (16 - bits) : 1);
  const float range = is_full_range ? 255.0F / most : 1.0F / unit;
  const float chroma = (is_full_range ? 224.0F / 255.0F : 1.0F) * range / 65536.0F;
  return {.y_zero = is_full_range ? 0.0F : 16.0F * unit,
          .y_scale = is_full_range ? range : 255.0F / 219.0F * range,
          .uv_zero = 128.0F * unit,
          .red_v = chroma * static_cast<float>(coefficients[0]),
          .green_u = -chroma * static_cast<float>(coefficients[2]),
          .green_v = -chroma * static_cast<float>(coefficients[3]),
          .blue_u = chroma * static_cast<float>(coefficients[1])};
}

/// The pixel at x, y, whose chroma lies between that of four samples. Sample: uint8_t or uint16_t.
template <class Sample>
C10_HOST_DEVICE inline void rgb_at(const Nv12Picture& picture, const YuvToRgb& formula, int x, int y,
                                   uint8_t* rgb) {
  const auto row = [](const uint8_t* plane, int64_t pitch, int at) {
    return reinterpret_cast<const Sample*>(plane + at * pitch);
  };
  struct Between {
    int first, second;
    float share;  // of the second
  };
  const auto between = [](float place, int last) -> Between {
    if (!(place > 0)) return {0, 0, 0.0F};
    const int first = static_cast<int>(place);
    if (first >= last) return {last, last, 0.0F};
    return {first, first + 1, place - static_cast<float>(first)};
  };
  const Between column = between(0.5F * (static_cast<float>(x) - picture.chroma_x), (picture.width - 1) / 2);
  const Between line = between(0.5F * (static_cast<float>(y) - picture.chroma_y), (picture.height - 1) / 2);
  const Sample* upper = row(picture.chroma, picture.chroma_pitch, line.first);
  const Sample* lower = row(picture.chroma, picture.chroma_pitch, line.second);
  const auto chroma = [&](int channel) {
    const auto in = [&](const Sample* samples) {
      const float left = samples[2 * column.first + channel], right = samples[2 * column.second + channel];
      return left + column.share * (right - left);
    };
    const float above = in(upper);
    return above + line.share * (in(lower)-above) - formula.uv_zero;
  };
  const float sample = row(picture.luma, picture.luma_pitch, y)[x];
  const float luma = (sample - formula.y_zero) * formula.y_scale, u = chroma(0), v = chroma(1);
  const auto rounded = [](float value) {
    return static_cast<uint8_t>(value < 0.0F ? 0.0F : value > 255.0F ? 255.0F : value + 0.5F);
  };
  rgb[0] = rounded(luma + formula.red_v * v);
  rgb[1] = rounded(luma + formula.green_u * u + formula.green_v * v);
  rgb[2] = rounded(luma + formula.blue_u * u);
}

/// uint8 [H, W, 3] on the GPU, of planes that lie on its first device and were written in its default stream.
/// In builds with CUDA.
at::Tensor nv12_to_rgb_cuda(const Nv12Picture& picture, const YuvToRgb& formula);

}  // namespace hqtrack
