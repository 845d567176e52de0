#include "train/moving_layer.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace hqtrack {
namespace {

constexpr double kDegrees = 3.14159265358979323846 / 180;

cv::Mat premultiply(const cv::Mat& rgba) {
  cv::Mat out(rgba.size(), CV_8UC4);
  for (int y = 0; y < rgba.rows; ++y) {
    const cv::Vec4b* from = rgba.ptr<cv::Vec4b>(y);
    cv::Vec4b* to = out.ptr<cv::Vec4b>(y);
    for (int x = 0; x < rgba.cols; ++x) {
      const int a = from[x][3];
      for (int c = 0; c < 3; ++c) to[x][c] = static_cast<uint8_t>((from[x][c] * a + 127) / 255);
      to[x][3] = static_cast<uint8_t>(a);
    }
  }
  return out;
}

cv::Mat random_grid(int points, double sigma, Random& random) {
  cv::Mat grid(points, points, CV_32FC2);
  float* values = grid.ptr<float>();
  for (int i = 0; i < 2 * points * points; ++i) values[i] = static_cast<float>(random.normal(sigma));
  return grid;
}

double largest_magnitude(const cv::Mat& grid) { return grid.empty() ? 0 : cv::norm(grid, cv::NORM_INF); }

/// The canvas rectangle that holds a centred w x h picture after `to_canvas`, widened by `margin`.
cv::Rect bounds_of(const cv::Matx22d& to_canvas, cv::Point2d centre, cv::Size picture, double margin,
                   int size) {
  const double w = picture.width / 2.0 + 1, h = picture.height / 2.0 + 1;
  const double dx = std::abs(to_canvas(0, 0)) * w + std::abs(to_canvas(0, 1)) * h + margin;
  const double dy = std::abs(to_canvas(1, 0)) * w + std::abs(to_canvas(1, 1)) * h + margin;
  const auto low = [&](double v) { return static_cast<int>(std::clamp(std::floor(v), 0.0, size * 1.0)); };
  const auto high = [&](double v) { return static_cast<int>(std::clamp(std::ceil(v) + 1, 0.0, size * 1.0)); };
  const cv::Point first(low(centre.x - dx), low(centre.y - dy)),
      last(high(centre.x + dx), high(centre.y + dy));
  return {first, last};
}

}  // namespace

MovingBackground::MovingBackground(cv::Mat photograph, int size, int num_frames, const MotionStyle& style,
                                   Random& random)
    : photograph_(std::move(photograph)), size_(size) {
  const double middle = photograph_.rows / 2.0, shift = style.camera_shift;
  double x = 0, y = 0, scale = random.uniform(0.9, 1.15), angle = random.uniform(-5, 5);
  const double vx = random.normal(), vy = random.normal(0.6), zoom = random.normal(0.5),
               turn = random.normal(12);
  for (int frame = 0; frame < num_frames; ++frame) {
    const double c = std::cos(angle * kDegrees) * scale, s = std::sin(angle * kDegrees) * scale;
    views_.emplace_back(c, -s, size / 2.0 + x - c * middle + s * middle,  //
                        s, c, size / 2.0 + y - s * middle - c * middle);
    x += size * shift * (vx + random.normal(0.3));
    y += size * shift * (vy + random.normal(0.3));
    scale *= std::clamp(1 + shift * zoom, 0.9, 1.1);
    angle += shift * turn;
  }
}

cv::Mat MovingBackground::render(int frame) const {
  cv::Mat image;
  cv::warpAffine(photograph_, image, views_[frame], {size_, size_}, cv::INTER_LINEAR, cv::BORDER_REFLECT_101);
  return image;
}

MovingLayer::MovingLayer(const cv::Mat& cut_out, int label, int size, int num_frames,
                         const MotionStyle& style, Random& random)
    : label_(label) {
  const double length = size * random.log_uniform(0.15, 0.75);
  cv::Mat picture = cut_out;
  double scale = length / std::max(picture.rows, picture.cols);
  if (scale < 0.6) {  // shrunk beforehand: the warp itself does not filter
    cv::resize(picture, picture, {}, scale * 1.2, scale * 1.2, cv::INTER_AREA);
    scale = length / std::max(picture.rows, picture.cols);
  }
  premultiplied_ = premultiply(picture);

  const double speed = size * style.object_shift, strength = style.strength;
  cv::Point2d centre(random.uniform(0.15, 0.85) * size, random.uniform(0.15, 0.85) * size);
  const cv::Point2d velocity(random.normal(speed), random.normal(0.6 * speed));
  double angle = random.normal(12), aspect = std::exp(random.normal(0.12)), shear = random.normal(0.1);
  const double turn = random.normal(strength * (random.chance(0.5) ? 8 : 2));
  const double growth = random.normal(0.05 * strength), aspect_growth = random.normal(0.04 * strength);
  const double shear_growth = random.normal(0.05 * strength), brightening = random.uniform(-0.06, 0.06);

  const int grid_points = static_cast<int>(random.integer(3, 5));
  const double amplitude = length * strength * 0.03 * static_cast<double>(random.integer(0, 2));
  const cv::Mat bend = random_grid(grid_points, amplitude * 0.3, random);
  const cv::Mat bend_speed = random_grid(grid_points, amplitude / std::sqrt(num_frames), random);

  for (int frame = 0; frame < num_frames; ++frame) {
    const double c = std::cos(angle * kDegrees), s = std::sin(angle * kDegrees);
    const cv::Matx22d to_canvas =
        cv::Matx22d(c, -s, s, c) * cv::Matx22d(scale * aspect, shear * scale, 0, scale / aspect);
    Pose pose;
    pose.centre = centre;
    pose.from_canvas = to_canvas.inv();
    if (amplitude > 0) pose.bending = bend + bend_speed * frame;
    // Cubic enlargement of the grid overshoots by less than a half.
    pose.bounds =
        bounds_of(to_canvas, centre, premultiplied_.size(), 1.5 * largest_magnitude(pose.bending), size);
    pose.brightness = 1 + brightening * frame;
    poses_.push_back(pose);

    centre.x += velocity.x + random.normal(0.3 * speed);
    centre.y += velocity.y + random.normal(0.3 * speed);
    angle += turn;
    scale *= std::exp(growth);
    aspect = std::clamp(aspect * std::exp(aspect_growth), 0.4, 2.5);
    shear = std::clamp(shear + shear_growth, -0.6, 0.6);
  }
}

void MovingLayer::draw(int frame, cv::Mat& image, cv::Mat& labels) const {
  const Pose& pose = poses_[frame];
  if (pose.bounds.empty()) return;
  cv::Mat bending;
  if (!pose.bending.empty()) cv::resize(pose.bending, bending, image.size(), 0, 0, cv::INTER_CUBIC);

  cv::Mat source(pose.bounds.size(), CV_32FC2);
  const float a = static_cast<float>(pose.from_canvas(0, 0)), b = static_cast<float>(pose.from_canvas(0, 1));
  const float c = static_cast<float>(pose.from_canvas(1, 0)), d = static_cast<float>(pose.from_canvas(1, 1));
  const float middle_x = premultiplied_.cols / 2.f, middle_y = premultiplied_.rows / 2.f;
  for (int y = 0; y < source.rows; ++y) {
    cv::Vec2f* row = source.ptr<cv::Vec2f>(y);
    for (int x = 0; x < source.cols; ++x) {
      float dx = static_cast<float>(pose.bounds.x + x - pose.centre.x);
      float dy = static_cast<float>(pose.bounds.y + y - pose.centre.y);
      if (!bending.empty()) {
        const cv::Vec2f& bend = bending.at<cv::Vec2f>(pose.bounds.y + y, pose.bounds.x + x);
        dx += bend[0];
        dy += bend[1];
      }
      row[x] = {a * dx + b * dy + middle_x, c * dx + d * dy + middle_y};
    }
  }
  cv::Mat warped;
  cv::remap(premultiplied_, warped, source, cv::noArray(), cv::INTER_LINEAR, cv::BORDER_CONSTANT);

  const float brightness = static_cast<float>(pose.brightness);
  for (int y = 0; y < warped.rows; ++y) {
    const cv::Vec4b* over = warped.ptr<cv::Vec4b>(y);
    cv::Vec3b* pixel = image.ptr<cv::Vec3b>(pose.bounds.y + y) + pose.bounds.x;
    uint8_t* label = labels.ptr<uint8_t>(pose.bounds.y + y) + pose.bounds.x;
    for (int x = 0; x < warped.cols; ++x) {
      const int alpha = over[x][3];
      if (alpha == 0) continue;
      const float keep = static_cast<float>(255 - alpha) / 255.f;
      for (int channel = 0; channel < 3; ++channel) {
        const float value = pixel[x][channel] * keep + over[x][channel] * brightness;
        pixel[x][channel] = static_cast<uint8_t>(std::clamp(value, 0.f, 255.f));
      }
      if (alpha > 127) label[x] = static_cast<uint8_t>(label_);
    }
  }
}

}  // namespace hqtrack
