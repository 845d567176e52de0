#include "pipeline/track_stage.h"

#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <utility>

#include "core/error.h"

namespace hqtrack {

TrackStage::TrackStage(HqTrack& tracker, const std::vector<PromptMask>& prompts) : tracker_(tracker) {
  for (const PromptMask& prompt : prompts) {
    at::Tensor& mask = prompts_[prompt.frame_index];
    if (mask.defined() && mask.sizes() != prompt.label_mask.sizes()) {
      throw MediaError("masks of frame " + std::to_string(prompt.frame_index) +
                       ": expected one size, found several");
    }
    mask = mask.defined() ? at::where(prompt.label_mask.ne(0), prompt.label_mask, mask) : prompt.label_mask;
  }
  if (!prompts_.empty()) first_prompt_ = prompts_.begin()->first;
}

void TrackStage::encode_ahead(const Frame& frame) {
  if (frame.index >= first_prompt_) tracker_.encode_ahead(frame);
}

TrackedFrame TrackStage::operator()(Frame frame) {
  const auto given = prompts_.extract(frame.index);
  if (!given.empty() && !is_started_) {
    is_started_ = true;
    return tracker_.start(std::move(frame), given.mapped());
  }
  if (!given.empty()) return tracker_.track(std::move(frame), given.mapped());
  if (is_started_) return tracker_.track(std::move(frame));
  const at::Tensor no_objects = at::zeros({frame.image.size(0), frame.image.size(1)}, at::kByte);
  return {.frame = std::move(frame), .label_mask = no_objects, .objects = {}};
}

std::function<TrackedFrame(TrackedFrame)> TrackStage::refine_step() {
  if (!tracker_.has_refiner()) return {};
  return [this](TrackedFrame tracked) { return tracker_.refine(std::move(tracked)); };
}

std::vector<int64_t> TrackStage::pending_frames() const {
  std::vector<int64_t> frames;
  for (const auto& [index, mask] : prompts_) frames.push_back(index);
  return frames;
}

}  // namespace hqtrack
