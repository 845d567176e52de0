#pragma once

#include <opencv2/core/mat.hpp>
#include <optional>
#include <vector>

#include "train/cut_out_painter.h"
#include "train/random.h"

namespace hqtrack {

/// How a thing moves and changes. Lengths and shifts are shares of the frame's short side, rates are per
/// frame.
struct LayerStyle {
  double smallest = 0.15, largest = 0.75;  // length of its longer edge
  double shift = 0.035;                    // sigma of its speed
  double growth = 0.05;                    // sigma of the rate of its size, logarithmic
  double turn = 2;                         // sigma of its rotation, degrees
  double shear = 0.05;                     // sigma of the rates of its shear and proportions
  double bend = 0;                         // displacement over the clip, share of its length
  double swing = 0;                        // how far a part of it swings about a joint, degrees
  double view = 0;                         // rate of turning away from the camera, radians
  double fading = 0;                       // how much of other colours it takes on, 0..1
  bool stays = false;                      // turns back at the edges, and when it gets too small or large
};

/// A photograph seen by a moving camera.
class MovingBackground {
 public:
  /// photograph: CV_8UC3, larger than `canvas`; mirrored beyond its edges. shift: scale of the camera's
  /// speed, share of the frame's short side.
  MovingBackground(cv::Mat photograph, cv::Size canvas, int num_frames, double shift, Random& random);
  /// CV_8UC3 [canvas].
  cv::Mat render(int frame) const;

 private:
  cv::Mat photograph_;
  cv::Size canvas_;
  std::vector<cv::Matx23d> views_;
};

/// A cut-out that moves, turns, changes size, colour and view, bends and swings its parts over the frames of
/// a clip.
class MovingLayer {
 public:
  /// cut_out: CV_8UC4 RGBA. label: what its pixels are called in the label map; 0 for a distractor.
  MovingLayer(const cv::Mat& cut_out, int label, cv::Size canvas, int num_frames, const LayerStyle& style,
              Random& random);

  /// From frame `first` on it is away for `count` frames: it leaves the picture, and comes back elsewhere.
  void leave(int first, int count, Random& random);

  int label() const { return label_; }

  /// Blends the layer over `image` (CV_8UC3) and writes its label where it covers more than half of a pixel.
  void draw(int frame, cv::Mat& image, cv::Mat& labels) const;

 private:
  struct Part {
    CutOutPainter painter;
    cv::Point2d joint;  // from the middle of the cut-out, in its pixels; it swings about this
    double swing = 0, rate = 0, phase = 0;
  };
  struct Place {
    cv::Point2d centre;
    cv::Matx22d to_canvas;  // offsets on the cut-out at its length -> on the canvas
    double brightness = 1, fading = 0;
  };

  int label_;
  cv::Size canvas_;
  double length_;
  std::vector<Part> parts_;  // back to front
  std::vector<Place> places_;
  cv::Mat bend_, bend_rate_;  // empty: none
};

}  // namespace hqtrack
