#pragma once

#include <array>
#include <cstdint>

#include "core/config.h"
#include "core/frame.h"

namespace hqtrack {

/// Which objects of which frames are refined (`refine: always | every:N | adaptive | off`).
///
/// adaptive: an object is refined when it is seen first. Where that paid (the refined mask was taken and its
/// IoU with the tracked one is below `pays_below_iou`), it is refined in the next frame again; otherwise it
/// is left alone for twice as many frames as the time before, up to `longest_wait_frames`. Where the refiner
/// encodes whole frames (mode `frame`), all objects are refined when one is to be: it costs hardly more.
class RefineSchedule {
 public:
  explicit RefineSchedule(const RefinerConfig& config) : config_(config) {}

  /// By id. Lost objects never are, nor those whose mask was given in this frame. Called for each frame; an
  /// index that is not above the one before begins another video.
  std::array<bool, 256> due_objects(const TrackedFrame& tracked);

  /// What came of refining one of them.
  void report(int64_t frame_index, int64_t id, Choice choice, double iou);

 private:
  struct Wait {
    int64_t frames = 0;  // from the last refinement to the next
    int64_t next_index = 0;
  };

  RefinerConfig config_;
  int64_t last_index_ = -1;
  std::array<Wait, 256> waits_{};
};

}  // namespace hqtrack
