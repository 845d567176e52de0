#pragma once

#include <array>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "train/camera_effects.h"
#include "train/moving_layer.h"
#include "train/pictures.h"
#include "train/random.h"

namespace hqtrack {

/// What makes a video hard to follow, one thing at a time.
enum class HardKind {
  kFast,       // objects cross the picture in a few frames
  kScale,      // they grow and shrink several times over
  kView,       // they turn away, and take on other colours
  kDeform,     // they bend, and their parts swing
  kSmall,      // they are a twentieth of the picture
  kLookAlike,  // copies of the object pass by and over it
  kCrowd,      // eight of them hide each other
  kHidden,     // they pass behind things
  kAbsent,     // they leave the picture and come back elsewhere
  kNight,      // dark, noisy, compressed
  kCamera      // the camera does not hold still
};
inline constexpr int kNumHardKinds = 11;
/// "fast", "scale", "view", "deform", "small", "look-alike", "crowd", "hidden", "absent", "night", "camera".
const char* to_string(HardKind kind);

/// What a scene is made of.
struct SceneStyle {
  LayerStyle object;
  double camera_shift = 0.03;  // scale of the camera's speed, share of the frame's short side per frame
  int num_objects = 1;         // up to 255
  int num_distractors = 0;     // things that look like objects and are background
  double twin_share = 0.2;     // of things that are a copy of one before them
  int num_bars = 0;            // things in front of all others that are background
  bool mixes_depth = false;    // distractors may be in front of objects
  bool leaves = false;         // objects leave the picture for a while
  bool is_night = false;
};

/// Hard in one way, and otherwise easy.
SceneStyle hard_style(HardKind kind, Random& random);

/// Things made of still pictures that move in front of a photograph, and the camera that sees them.
class Scene {
 public:
  Scene(const Pictures& pictures, const SceneStyle& style, cv::Size canvas, int num_frames, Random& random);

  /// One frame, CV_8UC3, and its labels, CV_8UC1 [canvas], which are overwritten: objects are 1, 2, ...
  /// `random` draws the noise.
  cv::Mat render(int frame, cv::Mat& labels, Random& random) const;

  /// How much of an object that would show in the frame by itself does show; 0 where nothing would.
  double visible_share(int frame, int object) const;

 private:
  cv::Size canvas_;
  MovingBackground background_;
  std::vector<MovingLayer> layers_;  // back to front
  CameraEffects effects_;
};

}  // namespace hqtrack
