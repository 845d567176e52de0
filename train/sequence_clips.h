#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "train/clip.h"

namespace hqtrack {

struct SequenceClipOptions {
  uint64_t seed = 1;
  int64_t height_px = 161, width_px = 161;
  int64_t num_frames = 4;
  int64_t max_objects = 6;
  int64_t max_step_frames = 3;  // from one frame to the next, in annotated frames of the sequence
};

/// Clips cut from real sequences with masks, in the layout of DAVIS or YouTube-VOS:
///   ROOT/JPEGImages[/480p]/SEQUENCE/NAME.jpg   ROOT/Annotations[/480p]/SEQUENCE/NAME.png
/// Only frames with masks are used. A clip is a random window of random size that shows at least one
/// object in its first frame, the same for all its frames; half of the clips are mirrored, half run
/// backwards, colours change a little. Objects that the first frame does not show are background.
/// Thread-safe.
class SequenceClips : public ClipSource {
 public:
  /// Throws MediaError naming the folder when neither layout is there or no sequence has `num_frames` frames.
  SequenceClips(const std::filesystem::path& root, const SequenceClipOptions& options);
  /// Throws MediaError naming the file for an unreadable picture or mask, sizes that differ, and when 100
  /// draws find no object.
  Clip example(int64_t number) const override;
  size_t num_sequences() const { return sequences_.size(); }

 private:
  struct SequenceFrame {
    std::filesystem::path image, mask;
  };
  std::vector<SequenceFrame> random_frames(class Random& random) const;

  std::filesystem::path root_;
  SequenceClipOptions options_;
  std::vector<std::vector<SequenceFrame>> sequences_;
};

}  // namespace hqtrack
