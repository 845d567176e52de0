#include "train/cut_out_painter.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace hqtrack {
namespace {

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

double largest_magnitude(const cv::Mat& grid) { return grid.empty() ? 0 : cv::norm(grid, cv::NORM_INF); }

/// The canvas rectangle that holds a centred w x h picture after `to_canvas`, widened by `margin`.
cv::Rect bounds_of(const cv::Matx22d& to_canvas, cv::Point2d centre, cv::Size picture, double margin,
                   cv::Size canvas) {
  const double w = picture.width / 2.0 + 1, h = picture.height / 2.0 + 1;
  const double dx = std::abs(to_canvas(0, 0)) * w + std::abs(to_canvas(0, 1)) * h + margin;
  const double dy = std::abs(to_canvas(1, 0)) * w + std::abs(to_canvas(1, 1)) * h + margin;
  const auto within = [](double v, int edge) { return static_cast<int>(std::clamp(v, 0.0, edge * 1.0)); };
  const cv::Point first(within(std::floor(centre.x - dx), canvas.width),
                        within(std::floor(centre.y - dy), canvas.height)),
      last(within(std::ceil(centre.x + dx) + 1, canvas.width),
           within(std::ceil(centre.y + dy) + 1, canvas.height));
  return {first, last};
}

}  // namespace

CutOutPainter::CutOutPainter(const cv::Mat& cut_out, double length_px, const cv::Mat& faded) {
  const int length = std::max(cut_out.rows, cut_out.cols);
  cv::Mat picture = cut_out, other = faded;
  if (length_px < 0.6 * length) {  // shrunk beforehand: the warp itself does not filter
    const double factor = 1.2 * length_px / length;
    cv::resize(picture, picture, {}, factor, factor, cv::INTER_AREA);
    if (!other.empty()) cv::resize(other, other, picture.size(), 0, 0, cv::INTER_AREA);
  }
  scale_ = length_px / std::max(picture.rows, picture.cols);
  shrinking_ = std::max(picture.rows, picture.cols) / static_cast<double>(length);
  premultiplied_ = premultiply(picture);
  if (other.empty()) return;
  // Its own outline counts: parts of a cut-out have theirs.
  cv::Mat alpha;
  cv::extractChannel(picture, alpha, 3);
  other = other.clone();
  cv::insertChannel(alpha, other, 3);
  faded_ = premultiply(other);
}

Pose CutOutPainter::pose(cv::Point2d centre, const cv::Matx22d& to_canvas, const cv::Mat& bending,
                         cv::Size canvas) const {
  // Cubic enlargement of the grid overshoots by less than a half.
  const double margin = 1.5 * largest_magnitude(bending);
  return {centre, to_canvas.inv(), bounds_of(to_canvas, centre, premultiplied_.size(), margin, canvas),
          bending};
}

void CutOutPainter::draw(const Pose& pose, int label, cv::Mat& image, cv::Mat& labels) const {
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
  cv::Mat picture = premultiplied_;
  if (!faded_.empty()) cv::addWeighted(premultiplied_, 1 - pose.fading, faded_, pose.fading, 0, picture);
  cv::remap(picture, warped, source, cv::noArray(), cv::INTER_LINEAR, cv::BORDER_CONSTANT);

  const float brightness = static_cast<float>(pose.brightness);
  for (int y = 0; y < warped.rows; ++y) {
    const cv::Vec4b* over = warped.ptr<cv::Vec4b>(y);
    cv::Vec3b* pixel = image.ptr<cv::Vec3b>(pose.bounds.y + y) + pose.bounds.x;
    uint8_t* label_row = labels.ptr<uint8_t>(pose.bounds.y + y) + pose.bounds.x;
    for (int x = 0; x < warped.cols; ++x) {
      const int alpha = over[x][3];
      if (alpha == 0) continue;
      const float keep = static_cast<float>(255 - alpha) / 255.f;
      for (int channel = 0; channel < 3; ++channel) {
        const float value = pixel[x][channel] * keep + over[x][channel] * brightness;
        pixel[x][channel] = static_cast<uint8_t>(std::clamp(value, 0.f, 255.f));
      }
      if (alpha > 127) label_row[x] = static_cast<uint8_t>(label);
    }
  }
}

cv::Mat random_bending(int points, double sigma, Random& random) {
  cv::Mat grid(points, points, CV_32FC2);
  float* values = grid.ptr<float>();
  for (int i = 0; i < 2 * points * points; ++i) values[i] = static_cast<float>(random.normal(sigma));
  return grid;
}

}  // namespace hqtrack
