#include "train/moving_layer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "train/cut_outs.h"

namespace hqtrack {
namespace {

constexpr double kDegrees = std::numbers::pi / 180;

double short_side(cv::Size canvas) { return std::min(canvas.width, canvas.height); }

cv::Matx22d rotation(double radians) {
  const double c = std::cos(radians), s = std::sin(radians);
  return {c, -s, s, c};
}

/// Back into [low, high] as from a wall, with the speed turned around.
void bounce(double& value, double& speed, double low, double high) {
  if (value < low) {
    value = std::min(2 * low - value, high);
    speed = std::abs(speed);
  } else if (value > high) {
    value = std::max(2 * high - value, low);
    speed = -std::abs(speed);
  }
}

/// The same outline with other colours.
cv::Mat other_colours(const cv::Mat& rgba, Random& random) {
  cv::Mat rgb, alpha;
  cv::cvtColor(rgba, rgb, cv::COLOR_RGBA2RGB);
  cv::extractChannel(rgba, alpha, 3);
  cv::flip(rgb, rgb, 1);
  jitter_colours(rgb, 0.35, random);
  cv::Mat out;
  cv::cvtColor(rgb, out, cv::COLOR_RGB2RGBA);
  cv::insertChannel(alpha, out, 3);
  return out;
}

/// A cut-out in two pieces that overlap a little along a line across it.
struct Halves {
  cv::Mat first, second;
  cv::Point2d joint;  // on the line, from the middle, in pixels
};

std::optional<Halves> cut_in_two(const cv::Mat& rgba, Random& random) {
  const bool is_wide = rgba.cols > rgba.rows;
  const double place = random.uniform(-0.2, 0.2) * std::max(rgba.cols, rgba.rows);
  const double angle = (is_wide ? 0 : 90) * kDegrees + random.normal(0.3);
  const cv::Point2d normal(std::cos(angle), std::sin(angle)), middle(rgba.cols / 2.0, rgba.rows / 2.0);
  const double overlap = 0.06 * std::max(rgba.cols, rgba.rows);
  Halves halves{rgba.clone(), rgba.clone(), {}};
  cv::Point2d sum;
  double weight = 0;
  int areas[2] = {0, 0};
  for (int y = 0; y < rgba.rows; ++y) {
    for (int x = 0; x < rgba.cols; ++x) {
      const int alpha = rgba.at<cv::Vec4b>(y, x)[3];
      const cv::Point2d from_middle = cv::Point2d(x + 0.5, y + 0.5) - middle;
      const double distance = from_middle.dot(normal) - place;
      if (distance > overlap) halves.first.at<cv::Vec4b>(y, x)[3] = 0;
      if (distance < -overlap) halves.second.at<cv::Vec4b>(y, x)[3] = 0;
      if (alpha > 127) ++areas[distance > 0];
      if (std::abs(distance) >= overlap) continue;
      sum += alpha * from_middle;
      weight += alpha;
    }
  }
  const int smaller = std::min(areas[0], areas[1]);
  if (weight == 0 || smaller * 10 < areas[0] + areas[1]) return std::nullopt;
  halves.joint = sum / weight;
  if (areas[1] > areas[0]) std::swap(halves.first, halves.second);  // the larger piece holds still
  return halves;
}

}  // namespace

MovingBackground::MovingBackground(cv::Mat photograph, cv::Size canvas, int num_frames, double shift,
                                   Random& random)
    : photograph_(std::move(photograph)), canvas_(canvas) {
  const cv::Point2d middle(photograph_.cols / 2.0, photograph_.rows / 2.0),
      centre(canvas.width / 2.0, canvas.height / 2.0);
  const double side = short_side(canvas);
  cv::Point2d offset;
  double scale = random.uniform(0.9, 1.15), angle = random.uniform(-5, 5);
  const double vx = random.normal(), vy = random.normal(0.6), zoom = random.normal(0.5),
               turn = random.normal(12);
  for (int frame = 0; frame < num_frames; ++frame) {
    const cv::Matx22d view = rotation(angle * kDegrees) * scale;
    const cv::Point2d origin = centre + offset - view * middle;
    views_.emplace_back(view(0, 0), view(0, 1), origin.x, view(1, 0), view(1, 1), origin.y);
    offset.x += side * shift * (vx + random.normal(0.3));
    offset.y += side * shift * (vy + random.normal(0.3));
    scale = std::clamp(scale * std::clamp(1 + shift * zoom, 0.9, 1.1), 0.4, 2.5);
    angle += shift * turn;
  }
}

cv::Mat MovingBackground::render(int frame) const {
  cv::Mat image;
  cv::warpAffine(photograph_, image, views_[frame], canvas_, cv::INTER_LINEAR, cv::BORDER_REFLECT_101);
  return image;
}

MovingLayer::MovingLayer(const cv::Mat& cut_out, int label, cv::Size canvas, int num_frames,
                         const LayerStyle& style, Random& random)
    : label_(label), canvas_(canvas) {
  const double side = short_side(canvas);
  length_ = side * random.log_uniform(style.smallest, style.largest);
  const cv::Mat faded = style.fading > 0 ? other_colours(cut_out, random) : cv::Mat();
  const std::optional<Halves> halves = style.swing > 0 ? cut_in_two(cut_out, random) : std::nullopt;
  if (halves) {
    const bool is_in_front = random.chance(0.5);
    parts_.push_back({CutOutPainter(halves->first, length_, faded), {}});
    parts_.insert(is_in_front ? parts_.end() : parts_.begin(),
                  {CutOutPainter(halves->second, length_, faded), halves->joint,
                   style.swing * random.uniform(0.5, 1.2) * kDegrees, random.uniform(0.2, 0.9),
                   random.uniform(0, 2 * std::numbers::pi)});
  } else {
    parts_.push_back({CutOutPainter(cut_out, length_, faded), {}});
  }

  const double speed = side * style.shift;
  cv::Point2d centre(random.uniform(0.15, 0.85) * canvas.width, random.uniform(0.15, 0.85) * canvas.height);
  cv::Point2d velocity(random.normal(speed), random.normal(0.6 * speed));
  double size = 0, growth = random.normal(style.growth);  // logarithmic
  double angle = random.normal(12), proportions = random.normal(0.12), shear = random.normal(0.1);
  const double turn = random.normal(style.turn), proportions_rate = random.normal(0.8 * style.shear),
               shear_rate = random.normal(style.shear), brightening = random.uniform(-0.06, 0.06);
  const double axis = random.uniform(0, std::numbers::pi), view_rate = style.view * random.uniform(0.5, 1.5),
               view_phase = random.uniform(-0.6, 0.6);
  double brightness = 1, brightness_rate = brightening;
  if (style.bend > 0) {
    const int points = static_cast<int>(random.integer(3, 5));
    bend_ = random_bending(points, 0.3 * style.bend * length_, random);
    bend_rate_ = random_bending(points, 0.4 * style.bend * length_, random);
  }

  const double smallest = std::log(0.6 * style.smallest * side / length_),
               largest = std::log(1.1 * style.largest * side / length_);
  for (int frame = 0; frame < num_frames; ++frame) {
    const double facing = std::max(0.25, std::abs(std::cos(view_phase + view_rate * frame)));
    const cv::Matx22d away =
        rotation(axis) * cv::Matx22d(style.view > 0 ? facing : 1, 0, 0, 1) * rotation(-axis);
    const double aspect = std::exp(proportions);
    const cv::Matx22d shape(aspect, shear, 0, 1 / aspect);
    places_.push_back({centre, away * rotation(angle * kDegrees) * shape * std::exp(size), brightness,
                       style.fading * 0.5 * (1 - std::cos(0.12 * frame))});

    centre.x += velocity.x + random.normal(0.3 * speed);
    centre.y += velocity.y + random.normal(0.3 * speed);
    angle += turn;
    size += growth;
    proportions = std::clamp(proportions + proportions_rate, -0.9, 0.9);
    shear = std::clamp(shear + shear_rate, -0.6, 0.6);
    brightness += brightness_rate;
    bounce(brightness, brightness_rate, 0.6, 1.4);
    if (!style.stays) continue;
    bounce(centre.x, velocity.x, 0.1 * canvas.width, 0.9 * canvas.width);
    bounce(centre.y, velocity.y, 0.1 * canvas.height, 0.9 * canvas.height);
    bounce(size, growth, smallest, largest);
  }
}

void MovingLayer::leave(int first, int count, Random& random) {
  constexpr int kSteps = 3;  // frames on the way out, and in
  const double reach = canvas_.width + canvas_.height + length_;
  const auto outside = [&] {
    const double direction = random.uniform(0, 2 * std::numbers::pi);
    return cv::Point2d(canvas_.width / 2.0 + reach * std::cos(direction),
                       canvas_.height / 2.0 + reach * std::sin(direction));
  };
  const cv::Point2d exit = outside(), entry = outside();
  const int num_frames = static_cast<int>(places_.size());
  for (int frame = std::max(0, first - kSteps); frame < std::min(num_frames, first + count + kSteps);
       ++frame) {
    cv::Point2d& centre = places_[frame].centre;
    const double out = (frame - (first - kSteps)) / (kSteps + 1.0);
    const double in = (first + count + kSteps - frame) / (kSteps + 1.0);
    const bool is_away = frame >= first && frame < first + count;
    const double share = is_away ? 1.0 : frame < first ? 0.5 * out * out : 0.5 * in * in;
    const cv::Point2d& target = frame < first + count / 2 ? exit : entry;
    centre += share * (target - centre);
  }
}

void MovingLayer::draw(int frame, cv::Mat& image, cv::Mat& labels) const {
  const Place& place = places_[frame];
  const cv::Mat bending =
      bend_.empty() ? cv::Mat() : cv::Mat(bend_ + bend_rate_ * (4 * std::sin(0.25 * frame)));
  for (const Part& part : parts_) {
    const cv::Matx22d swung = rotation(part.swing * std::sin(part.rate * frame + part.phase));
    const cv::Matx22d to_canvas = place.to_canvas * part.painter.scale();
    // The joint stays where it is.
    const cv::Point2d joint = part.painter.to_picture(part.joint);
    Pose pose = part.painter.pose(place.centre + to_canvas * (joint - swung * joint), to_canvas * swung,
                                  bending, canvas_);
    pose.brightness = place.brightness;
    pose.fading = place.fading;
    part.painter.draw(pose, label_, image, labels);
  }
}

}  // namespace hqtrack
