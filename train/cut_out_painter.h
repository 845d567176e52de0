#pragma once

#include <opencv2/core/mat.hpp>

#include "train/random.h"

namespace hqtrack {

/// How a cut-out lies on a canvas.
struct Pose {
  cv::Point2d centre;
  cv::Matx22d from_canvas;  // offset from the centre on the canvas -> offset on the cut-out
  cv::Rect bounds;          // where on the canvas anything can be visible
  cv::Mat bending;          // CV_32FC2, coarse grid of displacements over the canvas; empty for none
  double brightness = 1;
  double fading = 0;  // share of the other colours
};

/// Draws one cut-out, turned, sheared and bent, as often as needed.
class CutOutPainter {
 public:
  /// cut_out: CV_8UC4 RGBA. length_px: of its longer edge on the canvas, about. faded: its other colours, of
  /// the same size; may be empty.
  CutOutPainter(const cv::Mat& cut_out, double length_px, const cv::Mat& faded = {});

  /// Factor that gives the longer edge its length.
  double scale() const { return scale_; }

  /// A place on the cut-out, from its middle, in the pixels that poses count in.
  cv::Point2d to_picture(cv::Point2d offset) const { return offset * shrinking_; }

  /// to_canvas maps offsets on the cut-out to offsets on the canvas, `scale()` included.
  Pose pose(cv::Point2d centre, const cv::Matx22d& to_canvas, const cv::Mat& bending, cv::Size canvas) const;

  /// Blends it over `image` (CV_8UC3) and writes `label` into `labels` (CV_8UC1) where it covers more than
  /// half of a pixel.
  void draw(const Pose& pose, int label, cv::Mat& image, cv::Mat& labels) const;

 private:
  cv::Mat premultiplied_, faded_;  // CV_8UC4
  double scale_, shrinking_;
};

/// A grid of `points` x `points` normal displacements for Pose::bending.
cv::Mat random_bending(int points, double sigma, Random& random);

}  // namespace hqtrack
