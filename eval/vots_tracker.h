#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "eval/sequence_tracker.h"
#include "eval/vot_region.h"

namespace hqtrack {

/// What a tracker says of one object in one frame.
struct VotsAnswer {
  VotRegion region;         // a mask or a rectangle; of no size when the object is not seen
  double confidence = 0.0;  // 0..1
};

/// A SequenceTracker as VOT speaks to trackers: objects are places in a list and may enter later, in any
/// frame. Used by one thread.
class VotsTracker {
 public:
  /// Masks or their outer boxes.
  enum class Kind { kMask, kRectangle };

  VotsTracker(SequenceTracker& tracker, Kind kind) : tracker_(tracker), kind_(kind) {}

  /// Forgets all objects; the next frame is a first one.
  void reset();
  /// Follows all objects into the next picture, where further ones enter; answers for all of them in the
  /// order in which they came, with what was given for those that just entered. Frames before the first
  /// object are not looked at. Throws MediaError for a picture that cannot be read, a region that says
  /// nothing, and more than 255 objects.
  std::vector<VotsAnswer> track(const std::filesystem::path& picture, const std::vector<VotRegion>& entering);

 private:
  std::vector<VotsAnswer> answers(const SequenceTracker::Result& result, size_t count) const;

  SequenceTracker& tracker_;
  Kind kind_;
  int64_t num_objects_ = 0, num_frames_ = 0;
};

}  // namespace hqtrack
