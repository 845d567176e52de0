#include "io/overlay_prompts.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "io/overlay.h"

namespace hqtrack {
namespace {

constexpr int kFractionBits = 4;  // OpenCV draws at sixteenths of a pixel

cv::Point at_sixteenths(double x, double y) {
  return {static_cast<int>(std::lround(x * (1 << kFractionBits))),
          static_cast<int>(std::lround(y * (1 << kFractionBits)))};
}

/// A line of dashes in two colours, so that it reads on any background.
void draw_broken_line(cv::Mat& canvas, cv::Point2d from, cv::Point2d to, const cv::Scalar& colour,
                      double scale) {
  const double length = cv::norm(to - from), dash = 7 * scale;
  const int thickness = std::max(1, static_cast<int>(std::lround(1.6 * scale)));
  for (double at = 0; at < length; at += 2 * dash) {
    const auto place = [&](double along) { return from + (to - from) * (std::min(along, length) / length); };
    const cv::Point2d a = place(at), b = place(at + dash), c = place(at + 2 * dash);
    cv::line(canvas, at_sixteenths(b.x, b.y), at_sixteenths(c.x, c.y), cv::Scalar(0, 0, 0), thickness,
             cv::LINE_AA, kFractionBits);
    cv::line(canvas, at_sixteenths(a.x, a.y), at_sixteenths(b.x, b.y), colour, thickness, cv::LINE_AA,
             kFractionBits);
  }
}

void draw_box(cv::Mat& canvas, const PromptBox& box, const cv::Scalar& colour, double scale) {
  // Centres of the outermost pixels inside, as far as the picture goes.
  const double x0 = std::clamp(box.x0, 0.0, canvas.cols - 1.0),
               y0 = std::clamp(box.y0, 0.0, canvas.rows - 1.0);
  const double x1 = std::clamp(box.x1 - 1, 0.0, canvas.cols - 1.0),
               y1 = std::clamp(box.y1 - 1, 0.0, canvas.rows - 1.0);
  const cv::Point2d corners[] = {{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}};
  for (int i = 0; i < 4; ++i) draw_broken_line(canvas, corners[i], corners[(i + 1) % 4], colour, scale);
}

void draw_point(cv::Mat& canvas, const PromptPoint& point, const cv::Scalar& colour, double scale) {
  const cv::Scalar white(255, 255, 255), black(0, 0, 0), red(225, 20, 20);
  const cv::Point centre = at_sixteenths(point.x, point.y);
  const auto disc = [&](double radius, const cv::Scalar& fill) {
    cv::circle(canvas, centre, static_cast<int>(std::lround(radius * scale * (1 << kFractionBits))), fill,
               cv::FILLED, cv::LINE_AA, kFractionBits);
  };
  disc(7, black);
  disc(6, white);
  if (point.is_object) return disc(4, colour);
  const double arm = 3 * scale;
  const int thickness = std::max(1, static_cast<int>(std::lround(2 * scale)));
  for (const double sign : {1.0, -1.0}) {
    cv::line(canvas, at_sixteenths(point.x - arm, point.y - sign * arm),
             at_sixteenths(point.x + arm, point.y + sign * arm), red, thickness, cv::LINE_AA, kFractionBits);
  }
}

}  // namespace

void draw_prompts(cv::Mat& canvas, std::span<const ObjectPrompt> prompts, double scale) {
  for (const ObjectPrompt& prompt : prompts) {
    const Rgb rgb = overlay_colour(prompt.id);
    const cv::Scalar colour(rgb.r, rgb.g, rgb.b);
    if (prompt.box) draw_box(canvas, *prompt.box, colour, scale);
    for (const PromptPoint& point : prompt.points) draw_point(canvas, point, colour, scale);
  }
}

}  // namespace hqtrack
