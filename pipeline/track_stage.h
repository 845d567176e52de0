#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/frame.h"
#include "core/prompt.h"
#include "pipeline/hqtrack.h"
#include "pipeline/live_prompts.h"

namespace hqtrack {

/// Feeds HqTrack with the frames of one video and with what a person says in time. Called by one thread, in
/// order.
class TrackStage {
 public:
  /// Borrows the tracker; has it load its refiner when a prompt needs one. live: may be null.
  TrackStage(HqTrack& tracker, std::vector<TimedPrompt> prompts, std::shared_ptr<LivePrompts> live = nullptr);

  /// Frames before the first prompt pass through without objects. Throws PromptError for what is wrong with
  /// the first prompts; later ones that cannot be followed are warned of and left out.
  TrackedFrame operator()(Frame frame);

  /// See HqTrack::encode_ahead. Called by one thread, in order, which may be another one.
  void encode_ahead(const Frame& frame);

  /// HqTrack::refine, to be called by a thread of its own; empty without a refiner.
  std::function<TrackedFrame(TrackedFrame)> refine_step();

  /// Whether the frame of some prompt was reached.
  bool is_started() const { return is_started_; }
  /// Prompts whose frame was not reached so far.
  std::vector<TimedPrompt> pending() const;

 private:
  std::vector<PromptEdit> take_due(const Frame& frame);
  TrackedFrame follow(TrackedFrame tracked, std::vector<PromptEdit> edits);
  TrackedFrame follow(TrackedFrame tracked, LivePrompts::Request& request);
  int64_t free_id(const TrackedFrame& tracked) const;

  HqTrack& tracker_;
  std::vector<TimedPrompt> prompts_;  // of used ones only the moment is left
  std::vector<bool> is_used_;
  std::shared_ptr<LivePrompts> live_;
  int64_t last_id_ = 0;  // that was given to a live prompt without one
  std::atomic<bool> is_started_ = false;
};

}  // namespace hqtrack
