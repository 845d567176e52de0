#include "train/moving_layer.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace hqtrack {
namespace {

constexpr double kDegrees = 3.14159265358979323846 / 180;

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
    : MovingLayer(cut_out, label, size, size * random.log_uniform(0.15, 0.75), num_frames, style, random) {}

MovingLayer::MovingLayer(const cv::Mat& cut_out, int label, int size, double length, int num_frames,
                         const MotionStyle& style, Random& random)
    : painter_(cut_out, length), label_(label) {
  double scale = painter_.scale();
  const double speed = size * style.object_shift, strength = style.strength;
  cv::Point2d centre(random.uniform(0.15, 0.85) * size, random.uniform(0.15, 0.85) * size);
  const cv::Point2d velocity(random.normal(speed), random.normal(0.6 * speed));
  double angle = random.normal(12), aspect = std::exp(random.normal(0.12)), shear = random.normal(0.1);
  const double turn = random.normal(strength * (random.chance(0.5) ? 8 : 2));
  const double growth = random.normal(0.05 * strength), aspect_growth = random.normal(0.04 * strength);
  const double shear_growth = random.normal(0.05 * strength), brightening = random.uniform(-0.06, 0.06);

  const int grid_points = static_cast<int>(random.integer(3, 5));
  const double amplitude = length * strength * 0.03 * static_cast<double>(random.integer(0, 2));
  const cv::Mat bend = random_bending(grid_points, amplitude * 0.3, random);
  const cv::Mat bend_speed = random_bending(grid_points, amplitude / std::sqrt(num_frames), random);

  for (int frame = 0; frame < num_frames; ++frame) {
    const double c = std::cos(angle * kDegrees), s = std::sin(angle * kDegrees);
    const cv::Matx22d to_canvas =
        cv::Matx22d(c, -s, s, c) * cv::Matx22d(scale * aspect, shear * scale, 0, scale / aspect);
    const cv::Mat bending = amplitude > 0 ? cv::Mat(bend + bend_speed * frame) : cv::Mat();
    Pose pose = painter_.pose(centre, to_canvas, bending, {size, size});
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
  painter_.draw(poses_[frame], label_, image, labels);
}

}  // namespace hqtrack
