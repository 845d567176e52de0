#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "core/frame.h"
#include "pipeline/hqtrack.h"

namespace hqtrack {

/// Objects given in one frame: the first ones, new ones, or corrections of known ones.
struct PromptMask {
  int64_t frame_index = 0;  // counted from the first frame read
  at::Tensor label_mask;    // uint8 [H, W], size of the frames; 0 = leave as predicted
};

/// Feeds HqTrack with the frames of one video and the masks given in time. Called by one thread, in order.
class TrackStage {
 public:
  /// Several masks of one frame are laid over each other, later ones on top. Borrows the tracker.
  /// Throws MediaError when masks of one frame differ in size.
  TrackStage(HqTrack& tracker, const std::vector<PromptMask>& prompts);

  /// Frames before the first mask pass through without objects.
  TrackedFrame operator()(Frame frame);

  /// See HqTrack::encode_ahead. Called by one thread, in order, which may be another one.
  void encode_ahead(const Frame& frame);

  /// HqTrack::refine, to be called by a thread of its own; empty without a refiner.
  std::function<TrackedFrame(TrackedFrame)> refine_step();

  /// Whether the frame of some mask was reached.
  bool is_started() const { return is_started_; }
  /// Frames of the masks that were not reached so far, ascending.
  std::vector<int64_t> pending_frames() const;

 private:
  HqTrack& tracker_;
  int64_t first_prompt_ = 0;               // no frame before it is encoded
  std::map<int64_t, at::Tensor> prompts_;  // by frame index; taken out when used
  bool is_started_ = false;
};

}  // namespace hqtrack
