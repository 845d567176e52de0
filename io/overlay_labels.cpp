#include "io/overlay_labels.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "io/overlay.h"

namespace hqtrack {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr size_t kMaxCharacters = 24;
constexpr size_t kMaxLostLines = 6;

/// A line of text with its colours, and the box it needs.
struct Tag {
  std::string text;
  Rgb paper, ink;
  double opacity = 1.0;
  double font_scale = 0.5;
  cv::Size size;
  int pad_px = 0, baseline_px = 0;
};

Rgb ink_for(Rgb paper) {
  const double luma = 0.2126 * paper.r + 0.7152 * paper.g + 0.0722 * paper.b;
  return luma > 120 ? Rgb{12, 12, 12} : Rgb{250, 250, 250};
}

Tag make_tag(std::string text, Rgb paper, double opacity, double scale) {
  Tag tag;
  tag.text = std::move(text);
  tag.paper = paper;
  tag.ink = ink_for(paper);
  tag.opacity = opacity;
  tag.font_scale = 0.46 * scale;
  tag.pad_px = std::max(2, static_cast<int>(std::lround(4 * scale)));
  const cv::Size size = cv::getTextSize(tag.text, kFont, tag.font_scale, 1, &tag.baseline_px);
  tag.baseline_px = std::max(tag.baseline_px / 2, 1);
  tag.size = {size.width + 2 * tag.pad_px, size.height + tag.baseline_px + 2 * tag.pad_px};
  return tag;
}

/// Blends a rounded box: the opacity follows the distance to its outline, which anti-aliases the corners.
void fill_rounded(cv::Mat& canvas, const cv::Rect& box, double radius, Rgb colour, double opacity) {
  const cv::Rect visible = box & cv::Rect(0, 0, canvas.cols, canvas.rows);
  for (int y = visible.y; y < visible.br().y; ++y) {
    uint8_t* pixel = canvas.ptr<uint8_t>(y) + 3 * visible.x;
    const double dy = std::max({box.y + radius - y - 0.5, y + 0.5 - (box.br().y - radius), 0.0});
    for (int x = visible.x; x < visible.br().x; ++x, pixel += 3) {
      const double dx = std::max({box.x + radius - x - 0.5, x + 0.5 - (box.br().x - radius), 0.0});
      const double a = opacity * std::clamp(radius - std::sqrt(dx * dx + dy * dy) + 0.5, 0.0, 1.0);
      pixel[0] = static_cast<uint8_t>(std::lround(pixel[0] + (colour.r - pixel[0]) * a));
      pixel[1] = static_cast<uint8_t>(std::lround(pixel[1] + (colour.g - pixel[1]) * a));
      pixel[2] = static_cast<uint8_t>(std::lround(pixel[2] + (colour.b - pixel[2]) * a));
    }
  }
}

void draw_tag(cv::Mat& canvas, const Tag& tag, cv::Point corner) {
  const cv::Rect box(corner, tag.size);
  const double radius = std::min(0.3 * box.height, 8.0);
  const cv::Rect outer(box.x - 1, box.y - 1, box.width + 2, box.height + 2);
  fill_rounded(canvas, outer, radius + 1, {0, 0, 0}, 0.5 * tag.opacity);
  fill_rounded(canvas, box, radius, tag.paper, tag.opacity);
  const cv::Point origin(box.x + tag.pad_px, box.br().y - tag.pad_px - tag.baseline_px);
  const cv::Scalar ink(tag.ink.r, tag.ink.g, tag.ink.b);
  cv::putText(canvas, tag.text, origin, kFont, tag.font_scale, ink, 1, cv::LINE_AA);
}

/// Upper left corner for a tag of an object: above it, below it, inside, beside; the first that is free, else
/// the one that covers least.
cv::Point place(cv::Size size, const Box& box, cv::Size frame, const std::vector<cv::Rect>& taken) {
  const int gap = 4;
  const int x0 = static_cast<int>(box.x0), y0 = static_cast<int>(box.y0), x1 = static_cast<int>(box.x1),
            y1 = static_cast<int>(box.y1), middle = (x0 + x1 - size.width) / 2;
  const cv::Point candidates[] = {{middle, y0 - size.height - gap},
                                  {x0, y0 - size.height - gap},
                                  {middle, y1 + gap},
                                  {x1 + gap, y0},
                                  {x0 - size.width - gap, y0},
                                  {middle, y0 + gap},
                                  {middle, (y0 + y1) / 2},
                                  {middle, y0 - 2 * (size.height + gap)},
                                  {middle, y1 + size.height + 2 * gap}};
  cv::Point best;
  double best_cost = -1;
  for (const cv::Point& wanted : candidates) {
    const cv::Point corner(std::clamp(wanted.x, 1, std::max(1, frame.width - size.width - 1)),
                           std::clamp(wanted.y, 1, std::max(1, frame.height - size.height - 1)));
    double cost = 0.2 * (std::abs(corner.x - wanted.x) + std::abs(corner.y - wanted.y));
    for (const cv::Rect& other : taken) cost += 10.0 * (cv::Rect(corner, size) & other).area();
    if (best_cost < 0 || cost < best_cost) {
      best = corner;
      best_cost = cost;
    }
    if (cost == 0) break;
  }
  return best;
}

std::string text_of(const TrackedObject& object) {
  return drawable_text(object.name, std::to_string(object.id));
}

/// From the lower left corner upwards.
void draw_lost(cv::Mat& canvas, const TrackedFrame& tracked, double scale, std::vector<cv::Rect>& taken) {
  std::vector<std::string> lines;
  size_t num_lost = 0;
  for (const TrackedObject& object : tracked.objects) {
    if (object.state != ObjectState::kLost) continue;
    if (++num_lost <= kMaxLostLines) lines.push_back(text_of(object) + ": lost");
  }
  if (num_lost > kMaxLostLines) lines.push_back("and " + std::to_string(num_lost - kMaxLostLines) + " more");
  const int gap = std::max(3, static_cast<int>(std::lround(4 * scale)));
  int bottom = canvas.rows - 2 * gap;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const Tag tag = make_tag(*line, {28, 28, 28}, 0.7, 0.9 * scale);
    const cv::Point corner(2 * gap, bottom - tag.size.height);
    draw_tag(canvas, tag, corner);
    taken.push_back(cv::Rect(corner, tag.size));
    bottom = corner.y - gap;
  }
}

}  // namespace

std::string drawable_text(const std::string& utf8, const std::string& fallback) {
  std::string text;
  bool has_readable = false;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) == 0x80) continue;  // the rest of a character that was drawn as '?'
    const bool is_drawable = byte >= 0x20 && byte < 0x7f;
    has_readable |= is_drawable && byte != ' ';
    text += is_drawable ? c : '?';
  }
  if (!has_readable) return fallback;
  if (text.size() > kMaxCharacters) text = text.substr(0, kMaxCharacters - 2) + "..";
  return text;
}

void draw_labels(cv::Mat& canvas, const TrackedFrame& tracked, const std::array<Region, 256>& regions,
                 double scale) {
  std::vector<cv::Rect> taken;
  draw_lost(canvas, tracked, scale, taken);
  for (const TrackedObject& object : tracked.objects) {
    const bool is_seen = object.id >= 1 && object.id <= 255 && regions[object.id].area_px > 0;
    if (!is_seen) continue;
    const std::string text = text_of(object) + (object.state == ObjectState::kUncertain ? " ?" : "");
    const Tag tag = make_tag(text, overlay_colour(object.id), 0.9, scale);
    const cv::Point corner = place(tag.size, regions[object.id].box, canvas.size(), taken);
    draw_tag(canvas, tag, corner);
    taken.push_back(cv::Rect(corner, tag.size));
  }
}

}  // namespace hqtrack
