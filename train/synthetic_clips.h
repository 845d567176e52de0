#pragma once

#include "train/clip.h"
#include "train/pictures.h"

namespace hqtrack {

struct SyntheticClipOptions {
  uint64_t seed = 1;
  int64_t height_px = 161, width_px = 161;
  int64_t num_frames = 4;
  int64_t max_objects = 6;      // up to 10
  int64_t max_distractors = 2;  // things that look like objects and are background
  int64_t max_gap_frames = 3;   // frames that pass unseen between the reference and the next frame, at most
  double motion_strength = 1.0;
  double hard_share = 0.0;  // of clips that have each of the things of HardKind, some at half of it
};

/// Draws short videos from still pictures: cut-outs, blobs and pieces of photographs move, turn, bend and
/// hide each other in front of a photograph seen by a moving camera. Among them are distractors and twins
/// (the same picture twice). Frames 1, 2, ... follow each other; between the reference and frame 1 some
/// frames may be left out; half of the clips run backwards. Every object shows more than 60 pixels in the
/// reference. Thread-safe.
class SyntheticClips : public ClipSource {
 public:
  /// Keeps the pictures (shared storage). Throws MediaError when there is no photograph.
  SyntheticClips(Pictures pictures, const SyntheticClipOptions& options);
  /// On one machine the bytes depend on pictures, options and number alone.
  Clip example(int64_t number) const override;

 private:
  Pictures pictures_;
  SyntheticClipOptions options_;
};

}  // namespace hqtrack
