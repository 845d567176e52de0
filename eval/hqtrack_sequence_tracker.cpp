#include "eval/hqtrack_sequence_tracker.h"

#include <utility>

#include "core/log.h"

namespace hqtrack {
namespace {

SequenceTracker::Result to_result(const TrackedFrame& tracked) {
  SequenceTracker::Result result{.label_mask = tracked.label_mask, .scores = {}};
  for (const TrackedObject& object : tracked.objects) {
    if (object.area_px > 0) result.scores[object.id] = object.score;
  }
  return result;
}

}  // namespace

SequenceTracker::Result HqTrackSequenceTracker::start(const std::filesystem::path& picture, Frame frame,
                                                      std::span<const ObjectPrompt> prompts) {
  const TrackedFrame empty = hqtrack_.initialize(std::move(frame), {});
  return prompts.empty() ? to_result(empty) : add(picture, prompts);
}

SequenceTracker::Result HqTrackSequenceTracker::track(Frame frame) {
  return to_result(hqtrack_.refine(hqtrack_.track(std::move(frame))));
}

SequenceTracker::Result HqTrackSequenceTracker::add(const std::filesystem::path& picture,
                                                    std::span<const ObjectPrompt> prompts) {
  std::vector<PromptEdit> edits;
  for (const ObjectPrompt& prompt : prompts) edits.push_back({PromptEdit::Action::kAdd, prompt});
  while (true) {
    try {
      return to_result(hqtrack_.edit(edits));
    } catch (const PromptError& error) {
      log_warning(picture.string() + ": " + error.what() + "; it is not followed");
      edits.erase(edits.begin() + static_cast<std::ptrdiff_t>(error.edit()));
    }
  }
}

}  // namespace hqtrack
