#include "pipeline/track_stage.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "core/log.h"

namespace hqtrack {
namespace {

bool is_reached(const Moment& at, const Frame& frame) {
  return at.time_us ? frame.pts_us >= *at.time_us : frame.index >= at.frame_index;
}

}  // namespace

TrackStage::TrackStage(HqTrack& tracker, std::vector<TimedPrompt> prompts)
    : tracker_(tracker), prompts_(std::move(prompts)), is_used_(prompts_.size(), false) {
  const bool needs_refiner = std::ranges::any_of(prompts_, [](const TimedPrompt& timed) {
    return timed.edit.action != PromptEdit::Action::kRemove && timed.edit.prompt.needs_refiner();
  });
  if (needs_refiner) tracker_.load_refiner();
}

void TrackStage::encode_ahead(const Frame& frame) {
  const bool is_tracked =
      std::ranges::any_of(prompts_, [&](const TimedPrompt& timed) { return is_reached(timed.at, frame); });
  if (is_tracked) tracker_.encode_ahead(frame);
}

std::vector<PromptEdit> TrackStage::take_due(const Frame& frame) {
  std::vector<PromptEdit> due;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    if (is_used_[i] || !is_reached(prompts_[i].at, frame)) continue;
    is_used_[i] = true;
    due.push_back(std::move(prompts_[i].edit));  // its mask need not be kept
  }
  return due;
}

TrackedFrame TrackStage::operator()(Frame frame) {
  std::vector<PromptEdit> due = take_due(frame);
  if (is_started_) return follow(tracker_.track(std::move(frame)), std::move(due));
  if (!due.empty()) {
    is_started_ = true;
    tracker_.initialize(std::move(frame), {});
    return tracker_.edit(due);
  }
  const at::Tensor no_objects = at::zeros({frame.image.size(0), frame.image.size(1)}, at::kByte);
  return {.frame = std::move(frame), .label_mask = no_objects, .objects = {}, .prompts = {}};
}

TrackedFrame TrackStage::follow(TrackedFrame tracked, std::vector<PromptEdit> edits) {
  while (!edits.empty()) {
    try {
      return tracker_.edit(edits);
    } catch (const PromptError& error) {
      log_warning("frame " + std::to_string(tracked.frame.index) + ": " + error.what() +
                  "; this prompt is left out");
      edits.erase(edits.begin() + static_cast<std::ptrdiff_t>(error.edit()));
    }
  }
  return tracked;
}

std::function<TrackedFrame(TrackedFrame)> TrackStage::refine_step() {
  if (!tracker_.refines_frames()) return {};
  return [this](TrackedFrame tracked) { return tracker_.refine(std::move(tracked)); };
}

std::vector<TimedPrompt> TrackStage::pending() const {
  std::vector<TimedPrompt> left;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    if (!is_used_[i]) left.push_back(prompts_[i]);
  }
  return left;
}

}  // namespace hqtrack
