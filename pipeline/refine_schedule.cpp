#include "pipeline/refine_schedule.h"

#include <algorithm>

namespace hqtrack {

std::array<bool, 256> RefineSchedule::due_objects(const TrackedFrame& tracked) {
  std::array<bool, 256> can_be{}, is_due{};
  const int64_t index = tracked.frame.index;
  if (index <= last_index_) waits_.fill({});
  last_index_ = index;
  std::array<Wait, 256> waits{};
  for (const TrackedObject& object : tracked.objects) {
    if (!object.choice) waits[object.id] = waits_[object.id];  // else it was said anew
  }
  waits_ = waits;
  if (config_.every_frames == 0 || index % config_.every_frames != 0) return is_due;
  for (const TrackedObject& object : tracked.objects) {
    can_be[object.id] = object.state != ObjectState::kLost && !object.choice;
    is_due[object.id] = can_be[object.id] && (!config_.is_adaptive || index >= waits_[object.id].next_index);
  }
  const bool is_any_due = std::ranges::find(is_due, true) != is_due.end();
  return config_.mode == "frame" && is_any_due ? can_be : is_due;
}

void RefineSchedule::report(int64_t frame_index, int64_t id, Choice choice, double iou) {
  Wait& wait = waits_[id];
  const bool has_paid = choice == Choice::kRefined && iou < config_.pays_below_iou;
  wait.frames = has_paid ? 1 : std::clamp<int64_t>(2 * wait.frames, 1, config_.longest_wait_frames);
  wait.next_index = frame_index + wait.frames;
}

}  // namespace hqtrack
