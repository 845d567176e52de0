#include "train/camera_effects.h"

#include <cmath>
#include <opencv2/imgproc.hpp>

#include "train/jpeg_artifacts.h"

namespace hqtrack {
namespace {

/// Sum of four uniform numbers: near enough to normal for noise, and an order cheaper.
float quick_normal(Random& random) {
  const uint64_t bits = random.next();
  const int sum =
      static_cast<int>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
  constexpr float kSigma = 37837.2f;  // of the sum: 65536 * sqrt(4 / 12)
  return static_cast<float>(sum - 2 * 65535) / kSigma;
}

/// Grey noise: one value a pixel for all three colours.
void add_noise(cv::Mat& image, double sigma, double brightness, Random& random) {
  const float level = static_cast<float>(sigma), scale = static_cast<float>(brightness);
  for (int y = 0; y < image.rows; ++y) {
    cv::Vec3b* row = image.ptr<cv::Vec3b>(y);
    for (int x = 0; x < image.cols; ++x) {
      const float noise = level > 0 ? level * quick_normal(random) : 0.f;
      for (int c = 0; c < 3; ++c) row[x][c] = cv::saturate_cast<uint8_t>(row[x][c] * scale + noise);
    }
  }
}

void blur_along_a_line(cv::Mat& image, Random& random) {
  const int length = 3 + 2 * static_cast<int>(random.index(3));
  cv::Mat kernel = cv::Mat::zeros(length, length, CV_32F);
  const cv::Point from(0, static_cast<int>(random.index(length))),
      to(length - 1, static_cast<int>(random.index(length)));
  cv::line(kernel, from, to, 1.0);
  if (random.chance(0.5)) cv::transpose(kernel, kernel);
  kernel /= cv::sum(kernel)[0];
  cv::filter2D(image, image, -1, kernel);
}

}  // namespace

CameraEffects::CameraEffects(Random& random, bool is_night) : is_night_(is_night) {
  const double gamma = is_night ? random.uniform(1.8, 3.0) : random.uniform(0.75, 1.3);
  gamma_table_.create(1, 256, CV_8UC1);
  for (int i = 0; i < 256; ++i) {
    gamma_table_.at<uint8_t>(i) = cv::saturate_cast<uint8_t>(255 * std::pow(i / 255.0, gamma));
  }
  if (random.chance(0.25)) blur_sigma_ = random.uniform(0.5, 1.3);
  if (is_night || random.chance(0.4)) noise_sigma_ = is_night ? random.uniform(6, 14) : random.uniform(2, 8);
}

void CameraEffects::apply(cv::Mat& image, Random& random) const {
  cv::LUT(image, gamma_table_, image);
  if (blur_sigma_ > 0) {
    cv::GaussianBlur(image, image, {0, 0}, blur_sigma_);
  } else if (random.chance(0.1)) {
    blur_along_a_line(image, random);
  }
  add_noise(image, noise_sigma_, random.uniform(0.94, 1.06), random);
  if (is_night_) {
    image = jpeg_artifacts(image, static_cast<int>(random.integer(20, 45)));
  } else if (random.chance(0.3)) {
    image = jpeg_artifacts(image, static_cast<int>(random.integer(40, 90)));
  }
}

}  // namespace hqtrack
