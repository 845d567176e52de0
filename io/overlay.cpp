#include "io/overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "core/label_mask.h"
#include "io/overlay_labels.h"
#include "io/overlay_prompts.h"

namespace hqtrack {
namespace {

/// What is laid over a pixel by how deep it lies in the softened mask (0..255, 128 at the edge); opacities
/// 0..256.
struct Profile {
  std::array<uint16_t, 256> tint{}, dark{}, line{};
};

/// Distance from the mask's edge in pixels, positive inside, for each value of the mask softened with this
/// sigma: the inverse of the normal distribution.
std::array<double, 256> edge_distances(double sigma_px) {
  std::array<double, 256> distances{};
  double z = -3.5;
  for (int value = 0; value < 256; ++value) {
    while (z < 3.5 && 255 * 0.5 * std::erfc(-z / std::sqrt(2.0)) < value) z += 0.01;
    distances[value] = z * sigma_px;
  }
  return distances;
}

/// Opacity of a band from..to with edges that fade over one pixel.
double band(double distance, double from, double to) {
  return std::clamp(distance - from + 0.5, 0.0, 1.0) * std::clamp(to - distance + 0.5, 0.0, 1.0);
}

Profile make_profile(double sigma_px, double line_px, double opacity) {
  Profile profile;
  const std::array<double, 256> distances = edge_distances(sigma_px);
  for (int value = 0; value < 256; ++value) {
    const double distance = distances[value];
    profile.tint[value] = static_cast<uint16_t>(std::lround(256 * opacity));
    profile.line[value] = static_cast<uint16_t>(std::lround(256 * 0.95 * band(distance, -0.2, line_px)));
    profile.dark[value] = static_cast<uint16_t>(std::lround(256 * 0.6 * band(distance, -0.9 * line_px, 0.2)));
  }
  profile.dark[0] = profile.line[0] = profile.line[255] = profile.dark[255] = 0;
  return profile;
}

void blend(uint8_t* pixel, Rgb colour, int opacity) {
  pixel[0] = static_cast<uint8_t>(pixel[0] + ((colour.r - pixel[0]) * opacity + 128) / 256);
  pixel[1] = static_cast<uint8_t>(pixel[1] + ((colour.g - pixel[1]) * opacity + 128) / 256);
  pixel[2] = static_cast<uint8_t>(pixel[2] + ((colour.b - pixel[2]) * opacity + 128) / 256);
}

/// One object ready to be drawn: its softened mask around its box.
struct Layer {
  int64_t id = 0;
  Rgb colour;
  bool is_uncertain = false;
  cv::Rect area;  // in the frame
  cv::Mat soft;   // CV_8U of that area
};

/// Diagonal stripes, `width` pixels on and as many off.
bool is_stripe(int x, int y, int width) { return (x + y) / width & 1; }

Layer make_layer(const cv::Mat& labels, int64_t id, const Box& box, bool is_uncertain, double sigma_px) {
  const int margin = static_cast<int>(std::ceil(3 * sigma_px)) + 1;
  cv::Rect area(static_cast<int>(box.x0) - margin, static_cast<int>(box.y0) - margin,
                static_cast<int>(box.x1 - box.x0) + 2 * margin,
                static_cast<int>(box.y1 - box.y0) + 2 * margin);
  area &= cv::Rect(0, 0, labels.cols, labels.rows);
  Layer layer{.id = id, .colour = overlay_colour(id), .is_uncertain = is_uncertain, .area = area, .soft = {}};
  const cv::Mat own = labels(area) == static_cast<double>(id);  // 255 inside
  cv::GaussianBlur(own, layer.soft, cv::Size(), sigma_px, sigma_px, cv::BORDER_REPLICATE);
  // Thin parts never reach the edge's value once softened: lift them to it, so that their colour is seen.
  const cv::Mat floor = own & cv::Scalar(140);
  cv::max(layer.soft, floor, layer.soft);
  return layer;
}

void draw_tint(cv::Mat& canvas, const cv::Mat& labels, const Layer& layer, const Profile& profile,
               int stripe_px) {
  const int opacity = profile.tint[255];
  for (int y = layer.area.y; y < layer.area.br().y; ++y) {
    const uint8_t* label = labels.ptr<uint8_t>(y);
    uint8_t* pixel = canvas.ptr<uint8_t>(y);
    for (int x = layer.area.x; x < layer.area.br().x; ++x) {
      if (label[x] != layer.id) continue;
      const bool is_thin = layer.is_uncertain && !is_stripe(x, y, stripe_px);
      blend(pixel + 3 * x, layer.colour, is_thin ? opacity / 4 : opacity);
    }
  }
}

void draw_line(cv::Mat& canvas, const Layer& layer, const std::array<uint16_t, 256>& opacities, Rgb colour,
               int dash_px) {
  for (int y = 0; y < layer.area.height; ++y) {
    const uint8_t* soft = layer.soft.ptr<uint8_t>(y);
    uint8_t* pixel = canvas.ptr<uint8_t>(layer.area.y + y) + 3 * layer.area.x;
    for (int x = 0; x < layer.area.width; ++x) {
      int opacity = opacities[soft[x]];
      if (opacity == 0) continue;
      // A chequered pattern breaks the contour whatever its direction.
      if (dash_px > 0 && (((layer.area.x + x) / dash_px + (layer.area.y + y) / dash_px) & 1)) opacity /= 5;
      blend(pixel + 3 * x, colour, opacity);
    }
  }
}

const TrackedObject* find_object(const TrackedFrame& tracked, int64_t id) {
  for (const TrackedObject& object : tracked.objects) {
    if (object.id == id) return &object;
  }
  return nullptr;
}

}  // namespace

Rgb overlay_colour(int64_t id) {
  // The first ones are chosen by eye; then the golden angle walks around the colour circle in three shades.
  static constexpr std::array<Rgb, 10> kFirst = {{{48, 156, 255},
                                                  {255, 82, 70},
                                                  {72, 220, 96},
                                                  {255, 200, 40},
                                                  {205, 96, 255},
                                                  {40, 226, 226},
                                                  {255, 140, 32},
                                                  {255, 110, 190},
                                                  {170, 232, 50},
                                                  {130, 130, 255}}};
  if (id >= 1 && id <= static_cast<int64_t>(kFirst.size())) return kFirst[id - 1];
  const double hue = std::fmod(static_cast<double>(id) * 0.618033988749895, 1.0) * 6;
  const double saturation = std::array{0.95, 0.55, 0.75}[id % 3], value = std::array{1.0, 0.95, 0.78}[id % 3];
  const auto channel = [&](double shift) {
    const double k = std::fmod(hue + shift, 6.0);
    const double level = value - value * saturation * std::clamp(std::min(k, 4.0 - k), 0.0, 1.0);
    return static_cast<uint8_t>(std::lround(255 * level));
  };
  return {channel(5), channel(3), channel(1)};
}

at::Tensor Overlay::draw(const TrackedFrame& tracked) const {
  at::Tensor image = tracked.frame.image.clone();
  const int height = static_cast<int>(image.size(0)), width = static_cast<int>(image.size(1));
  cv::Mat canvas(height, width, CV_8UC3, image.mutable_data_ptr<uint8_t>());
  const cv::Mat labels(height, width, CV_8UC1, tracked.label_mask.mutable_data_ptr<uint8_t>());

  const double scale = std::max(0.6, std::min(height, width) / 480.0);
  const double sigma_px = 1.1 * scale, line_px = 1.9 * scale;
  const int dash_px = std::max(3, static_cast<int>(std::lround(6 * scale)));
  const Profile profile = make_profile(sigma_px, line_px, std::clamp(config_.mask_opacity, 0.0, 1.0));
  const auto regions = label_regions(tracked.label_mask);
  std::vector<Layer> layers;
  for (int64_t id = 1; id < 256; ++id) {
    if (regions[id].area_px == 0) continue;
    const TrackedObject* object = find_object(tracked, id);
    const bool is_uncertain = object && object->state == ObjectState::kUncertain;
    layers.push_back(make_layer(labels, id, regions[id].box, is_uncertain, sigma_px));
  }
  for (const Layer& layer : layers) draw_tint(canvas, labels, layer, profile, dash_px);
  // All dark lines first: the dark line of an object must not cover the coloured one of its neighbour.
  for (const Layer& layer : layers) draw_line(canvas, layer, profile.dark, {0, 0, 0}, 0);
  for (const Layer& layer : layers)
    draw_line(canvas, layer, profile.line, layer.colour, layer.is_uncertain ? dash_px : 0);

  draw_prompts(canvas, tracked.prompts, scale);
  if (config_.draw_labels) draw_labels(canvas, tracked, regions, scale);
  return image;
}

}  // namespace hqtrack
