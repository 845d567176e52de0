#pragma once

#include <stop_token>

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

/// Asks for a stop when the clip `last` or a later one is asked for; never when that is 0.
class StoppingClips : public ClipSource {
 public:
  StoppingClips(const ClipSource& clips, std::stop_source& stop, int64_t last)
      : clips_(clips), stop_(stop), last_(last) {}
  Clip example(int64_t number) const override {
    if (last_ > 0 && number >= last_) stop_.request_stop();
    return clips_.example(number);
  }

 private:
  const ClipSource& clips_;
  std::stop_source& stop_;
  int64_t last_;
};

}  // namespace hqtrack::testing
