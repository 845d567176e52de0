#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

#include "train/cut_out_painter.h"
#include "train/random.h"

namespace hqtrack {

/// How lively a clip is. Shifts are shares of the frame's side per frame.
struct MotionStyle {
  double object_shift = 0.035;  // sigma of an object's speed
  double camera_shift = 0.03;   // scale of the camera's speed
  double strength = 1.0;        // factor on rotation, change of size, shear and bending
};

/// A photograph seen by a moving camera.
class MovingBackground {
 public:
  /// photograph: CV_8UC3, square, larger than `size`; mirrored beyond its edges.
  MovingBackground(cv::Mat photograph, int size, int num_frames, const MotionStyle& style, Random& random);
  /// CV_8UC3 [size, size].
  cv::Mat render(int frame) const;

 private:
  cv::Mat photograph_;
  int size_;
  std::vector<cv::Matx23d> views_;
};

/// A cut-out that moves, turns, changes size, shears, bends and changes brightness over the frames of a clip.
class MovingLayer {
 public:
  /// cut_out: CV_8UC4 RGBA. label: what its pixels are called in the label map; 0 for a distractor.
  MovingLayer(const cv::Mat& cut_out, int label, int size, int num_frames, const MotionStyle& style,
              Random& random);

  /// Blends the layer over `image` (CV_8UC3) and writes its label where it covers more than half of a pixel.
  void draw(int frame, cv::Mat& image, cv::Mat& labels) const;

 private:
  MovingLayer(const cv::Mat& cut_out, int label, int size, double length, int num_frames,
              const MotionStyle& style, Random& random);

  CutOutPainter painter_;
  int label_;
  std::vector<Pose> poses_;
};

}  // namespace hqtrack
