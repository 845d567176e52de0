#pragma once

#include "core/config.h"
#include "train/clip.h"

namespace hqtrack::testing {

/// Settings of a network and a training run small enough for a test: 33 px, two clips a step, all parts in
/// use.
Config tiny_config();

/// A bright square on noise that moves right, one or two of them; 33 px, `num_frames` frames.
class TinyClips : public ClipSource {
 public:
  explicit TinyClips(int64_t num_frames) : num_frames_(num_frames) {}
  Clip example(int64_t number) const override;

 private:
  int64_t num_frames_;
};

}  // namespace hqtrack::testing
