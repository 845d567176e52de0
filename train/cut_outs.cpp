#include "train/cut_outs.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace hqtrack {
namespace {

/// The chosen picture's alpha, slightly softened.
cv::Mat outline_of(const cv::Mat& rgba) {
  cv::Mat alpha;
  cv::extractChannel(rgba, alpha, 3);
  cv::GaussianBlur(alpha, alpha, {3, 3}, 0);
  return alpha;
}

cv::Mat join(const cv::Mat& rgb, const cv::Mat& alpha) {
  cv::Mat rgba(rgb.size(), CV_8UC4);
  const cv::Mat parts[] = {rgb, alpha};
  const int channels[] = {0, 0, 1, 1, 2, 2, 3, 3};
  cv::mixChannels(parts, 2, &rgba, 1, channels, 4);
  return rgba;
}

cv::Mat colours_of(const cv::Mat& rgba) {
  cv::Mat rgb;
  cv::cvtColor(rgba, rgb, cv::COLOR_RGBA2RGB);
  return rgb;
}

cv::Mat recoloured_stamp(const Pictures& pictures, Random& random) {
  const cv::Mat& stamp = random.choose(pictures.stamps);
  cv::Mat rgb = colours_of(stamp), alpha;
  jitter_colours(rgb, 0.2, random);
  cv::extractChannel(stamp, alpha, 3);
  return join(rgb, alpha);
}

cv::Mat painted_drawing(const Pictures& pictures, Random& random) {
  const cv::Mat& drawing = random.choose(pictures.drawings);
  cv::Mat rgb = colours_of(drawing), alpha;
  cv::extractChannel(drawing, alpha, 3);
  if (random.chance(0.7)) {
    jitter_colours(rgb, 0.3, random);
    const cv::Mat paint = random_patch(pictures, drawing.size(), 0.1, 0.6, random);
    cv::multiply(rgb, paint, rgb, 1.0 / 128);
  }
  return join(rgb, alpha);
}

cv::Mat piece_of_photograph(const Pictures& pictures, Random& random) {
  const bool has_shapes = !pictures.stamps.empty() || !pictures.drawings.empty();
  cv::Mat outline;
  if (!has_shapes || random.chance(0.5)) {
    outline = random_blob(128, random);
  } else {
    const bool take_stamp = pictures.drawings.empty() || (!pictures.stamps.empty() && random.chance(0.5));
    outline = outline_of(random.choose(take_stamp ? pictures.stamps : pictures.drawings));
  }
  cv::Mat rgb = random_patch(pictures, outline.size(), 0.15, 0.7, random);
  jitter_colours(rgb, 0.3, random);
  return join(rgb, outline);
}

}  // namespace

cv::Mat random_patch(const Pictures& pictures, cv::Size size, double smallest, double largest,
                     Random& random) {
  const cv::Mat& photograph = random.choose(pictures.photographs);
  const double fit = std::min(photograph.rows / static_cast<double>(size.height),
                              photograph.cols / static_cast<double>(size.width));
  const double scale = fit * random.uniform(smallest, largest);
  const int height = std::max(1, static_cast<int>(size.height * scale));
  const int width = std::max(1, static_cast<int>(size.width * scale));
  const int y = static_cast<int>(random.integer(0, photograph.rows - height));
  const int x = static_cast<int>(random.integer(0, photograph.cols - width));
  cv::Mat patch;
  cv::resize(photograph({x, y, width, height}), patch, size, 0, 0,
             scale > 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
  if (random.chance(0.5)) cv::flip(patch, patch, 1);
  return patch;
}

void jitter_colours(cv::Mat& rgb, double strength, Random& random) {
  cv::Matx34d change(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0);
  if (random.chance(0.8)) {
    const double brightness = random.uniform(1 - strength, 1 + strength);
    const double offset = random.uniform(-40 * strength, 40 * strength);
    for (int c = 0; c < 3; ++c) {
      change(c, c) = brightness * random.uniform(1 - 0.6 * strength, 1 + 0.6 * strength);
      change(c, 3) = offset;
    }
  }
  if (random.chance(0.4)) {
    const double saturation = random.uniform(0.2, 1.3), grey = (1 - saturation) / 3;
    const cv::Matx33d mix(saturation + grey, grey, grey, grey, saturation + grey, grey, grey, grey,
                          saturation + grey);
    change = mix * change;
  }
  cv::transform(rgb, rgb, change);
}

cv::Mat random_blob(int size, Random& random) {
  const int points = static_cast<int>(random.integer(3, 7));
  cv::Mat coarse(points, points, CV_32F), height;
  for (int i = 0; i < points * points; ++i) coarse.ptr<float>()[i] = static_cast<float>(random.uniform());
  cv::resize(coarse, height, {size, size}, 0, 0, cv::INTER_CUBIC);
  const float fall = static_cast<float>(random.uniform(0.5, 0.9));
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const float dy = 2.f * y / (size - 1) - 1, dx = 2.f * x / (size - 1) - 1;
      height.at<float>(y, x) = 1.1f * height.at<float>(y, x) - fall * (dx * dx + dy * dy);
    }
  }
  std::vector<float> sorted(height.begin<float>(), height.end<float>());
  const auto level = sorted.begin() + static_cast<ptrdiff_t>(random.uniform(0.45, 0.70) * sorted.size());
  std::nth_element(sorted.begin(), level, sorted.end());

  cv::Mat blob = height > *level, components, stats, centres;
  const int count = cv::connectedComponentsWithStats(blob, components, stats, centres);
  int largest = 1;
  for (int i = 2; i < count; ++i) {
    if (stats.at<int>(i, cv::CC_STAT_AREA) > stats.at<int>(largest, cv::CC_STAT_AREA)) largest = i;
  }
  blob = components == largest;
  cv::GaussianBlur(blob, blob, {5, 5}, 0);
  return blob;
}

cv::Mat random_cut_out(const Pictures& pictures, Random& random) {
  const double kind = random.uniform();
  cv::Mat cut_out;
  if (kind < 0.5 && !pictures.stamps.empty()) {
    cut_out = recoloured_stamp(pictures, random);
  } else if (kind >= 0.5 && kind < 0.7 && !pictures.drawings.empty()) {
    cut_out = painted_drawing(pictures, random);
  } else {
    cut_out = piece_of_photograph(pictures, random);
  }
  if (random.chance(0.5)) cv::flip(cut_out, cut_out, 1);
  return cut_out;
}

}  // namespace hqtrack
