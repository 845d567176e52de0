#include "pipeline/track_stage.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "core/log.h"
#include "core/one_line.h"

namespace hqtrack {
namespace {

bool is_reached(const Moment& at, const Frame& frame) {
  return at.time_us ? frame.pts_us >= *at.time_us : frame.index >= at.frame_index;
}

/// The first edits, up to the second one of an object. Edits of several moments may fall on one frame.
std::vector<PromptEdit> take_round(std::vector<PromptEdit>& edits) {
  std::array<bool, 256> is_taken{};
  const auto end = std::ranges::find_if(edits, [&](const PromptEdit& edit) {
    return std::exchange(is_taken[static_cast<size_t>(edit.prompt.id)], true);
  });
  std::vector<PromptEdit> round(std::make_move_iterator(edits.begin()), std::make_move_iterator(end));
  edits.erase(edits.begin(), end);
  return round;
}

}  // namespace

TrackStage::TrackStage(HqTrack& tracker, std::vector<TimedPrompt> prompts, std::shared_ptr<LivePrompts> live)
    : tracker_(tracker),
      prompts_(std::move(prompts)),
      is_used_(prompts_.size(), false),
      live_(std::move(live)) {
  const bool needs_refiner = std::ranges::any_of(prompts_, [](const TimedPrompt& timed) {
    return timed.edit.action != PromptEdit::Action::kRemove && timed.edit.prompt.needs_refiner();
  });
  if (needs_refiner) tracker_.load_refiner();
}

void TrackStage::encode_ahead(const Frame& frame) {
  const bool is_tracked = is_started_ || std::ranges::any_of(prompts_, [&](const TimedPrompt& timed) {
                            return is_reached(timed.at, frame);
                          });
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
  const auto requests = live_ ? live_->take() : std::list<std::unique_ptr<LivePrompts::Request>>();
  TrackedFrame tracked;
  if (is_started_) {
    tracked = follow(tracker_.track(std::move(frame)), std::move(due));
  } else if (!due.empty() || !requests.empty()) {
    is_started_ = true;
    tracked = tracker_.initialize(std::move(frame), {});
    while (!due.empty()) tracked = tracker_.edit(take_round(due));
  } else {
    tracked.label_mask = at::zeros({frame.image.size(0), frame.image.size(1)}, at::kByte);
    tracked.frame = std::move(frame);
  }
  for (const auto& request : requests) tracked = follow(std::move(tracked), *request);
  return tracked;
}

int64_t TrackStage::free_id(const TrackedFrame& tracked) const {
  std::array<bool, 256> is_taken{};
  for (const TrackedObject& object : tracked.objects) is_taken[static_cast<size_t>(object.id)] = true;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    if (!is_used_[i]) is_taken[static_cast<size_t>(prompts_[i].edit.prompt.id)] = true;
  }
  // An id that was free a moment ago may still be meant by somebody.
  for (int64_t step = 1; step <= 255; ++step) {
    const int64_t id = (last_id_ + step - 1) % 255 + 1;
    if (!is_taken[static_cast<size_t>(id)]) return id;
  }
  throw PromptError(0, "expected at most 255 objects, found more");
}

TrackedFrame TrackStage::follow(TrackedFrame tracked, LivePrompts::Request& request) {
  PromptEdit& edit = request.edit;
  try {
    const bool takes_free_id = edit.prompt.id == 0 && edit.action == PromptEdit::Action::kAdd;
    if (takes_free_id) edit.prompt.id = free_id(tracked);
    tracked = tracker_.edit(std::span(&edit, 1));
    if (takes_free_id) last_id_ = edit.prompt.id;
    request.answer.set_value({edit.prompt.id, tracked});
  } catch (const Error& error) {
    request.answer.set_exception(std::make_exception_ptr(PromptError(0, error.what())));
  } catch (const std::exception& error) {
    // Of LibTorch. Whatever it is, it is no reason to lose the other objects.
    log_error("object " + std::to_string(edit.prompt.id) + ": " + one_line(error) +
              "; this prompt is left out");
    request.answer.set_exception(std::current_exception());
  }
  return tracked;
}

TrackedFrame TrackStage::follow(TrackedFrame tracked, std::vector<PromptEdit> edits) {
  while (!edits.empty()) {
    std::vector<PromptEdit> round = take_round(edits);
    while (!round.empty()) {
      try {
        tracked = tracker_.edit(round);
        break;
      } catch (const PromptError& error) {
        log_warning("frame " + std::to_string(tracked.frame.index) + ": " + error.what() +
                    "; this prompt is left out");
        round.erase(round.begin() + static_cast<std::ptrdiff_t>(error.edit()));
      }
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
