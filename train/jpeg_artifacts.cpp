#include "train/jpeg_artifacts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace hqtrack {
namespace {

using Block = std::array<float, 64>;

// ITU-T T.81, tables K.1 and K.2.
constexpr std::array<int, 64> kLuminance = {
    16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  //
    14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,  //
    18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,  //
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr std::array<int, 64> kChrominance = {
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,  //
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,  //
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,  //
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

Block scaled_table(const std::array<int, 64>& table, int quality) {
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  Block steps;
  for (int i = 0; i < 64; ++i)
    steps[i] = static_cast<float>(std::clamp((table[i] * scale + 50) / 100, 1, 255));
  return steps;
}

/// Row k holds the k-th cosine, orthonormal.
Block cosine_matrix() {
  Block m;
  for (int k = 0; k < 8; ++k) {
    for (int i = 0; i < 8; ++i) {
      const double scale = k == 0 ? std::sqrt(0.125) : 0.5;
      m[8 * k + i] = static_cast<float>(scale * std::cos((2 * i + 1) * k * 3.14159265358979323846 / 16));
    }
  }
  return m;
}

Block transposed(const Block& a) {
  Block t;
  for (int i = 0; i < 64; ++i) t[8 * (i % 8) + i / 8] = a[i];
  return t;
}

Block product(const Block& a, const Block& b) {
  Block c{};
  for (int i = 0; i < 8; ++i) {
    for (int k = 0; k < 8; ++k) {
      for (int j = 0; j < 8; ++j) c[8 * i + j] += a[8 * i + k] * b[8 * k + j];
    }
  }
  return c;
}

/// Quantises every 8x8 block of a CV_32F plane whose sides are multiples of 8.
void quantise(cv::Mat& plane, const Block& steps) {
  static const Block cosines = cosine_matrix(), inverse = transposed(cosines);
  for (int y = 0; y < plane.rows; y += 8) {
    for (int x = 0; x < plane.cols; x += 8) {
      Block block;
      for (int i = 0; i < 8; ++i) std::copy_n(plane.ptr<float>(y + i) + x, 8, &block[8 * i]);
      Block waves = product(product(cosines, block), inverse);
      for (int i = 0; i < 64; ++i) waves[i] = std::nearbyint(waves[i] / steps[i]) * steps[i];
      block = product(product(inverse, waves), cosines);
      for (int i = 0; i < 8; ++i) std::copy_n(&block[8 * i], 8, plane.ptr<float>(y + i) + x);
    }
  }
}

int next_multiple(int value, int step) { return (value + step - 1) / step * step; }

}  // namespace

cv::Mat jpeg_artifacts(const cv::Mat& rgb, int quality) {
  cv::Mat padded, values;
  cv::copyMakeBorder(rgb, padded, 0, next_multiple(rgb.rows, 16) - rgb.rows, 0,
                     next_multiple(rgb.cols, 16) - rgb.cols, cv::BORDER_REPLICATE);
  padded.convertTo(values, CV_32FC3);
  const cv::Matx34f to_ycc(0.299f, 0.587f, 0.114f, -128, -0.168736f, -0.331264f, 0.5f, 0, 0.5f, -0.418688f,
                           -0.081312f, 0);
  cv::transform(values, values, to_ycc);
  cv::Mat planes[3];
  cv::split(values, planes);
  const Block luminance = scaled_table(kLuminance, quality),
              chrominance = scaled_table(kChrominance, quality);
  quantise(planes[0], luminance);
  for (int c = 1; c < 3; ++c) {
    cv::Mat half;
    cv::resize(planes[c], half, {}, 0.5, 0.5, cv::INTER_AREA);
    quantise(half, chrominance);
    cv::resize(half, planes[c], planes[c].size(), 0, 0, cv::INTER_LINEAR);
  }
  cv::merge(planes, 3, values);
  const cv::Matx34f to_rgb(1, 0, 1.402f, 128, 1, -0.344136f, -0.714136f, 128, 1, 1.772f, 0, 128);
  cv::transform(values, values, to_rgb);
  cv::Mat out;
  values(cv::Rect(0, 0, rgb.cols, rgb.rows)).convertTo(out, CV_8UC3);
  return out;
}

}  // namespace hqtrack
