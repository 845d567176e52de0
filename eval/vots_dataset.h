#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/vot_trajectory.h"

namespace hqtrack {

/// One object of a sequence: a region for each frame.
struct VotsObject {
  std::string id;
  VotTrajectory truth;

  /// Where it is first shown: the first frame whose region is no code. Empty when it never is.
  std::optional<size_t> first_frame() const;
};

/// A sequence of the VOT toolkit. Frames count from 0 here, and from 1 in the names of pictures.
struct VotsSequence {
  std::string name;
  std::filesystem::path folder;
  std::string pictures = {};  // pattern below the folder: color/%08d.jpg
  int64_t length = 0;         // frames
  int64_t width = 0, height = 0;
  std::vector<VotsObject> objects = {};  // by first frame, then by id
  VotTrajectory ignore = {};             // pixels that do not count; empty: none

  std::filesystem::path picture(int64_t frame) const;
  /// Of the files of one object's results: NAME_001, or NAME_ID_001 where there are several objects.
  std::string result_stem(const VotsObject& object) const;
};

/// Reads ROOT/list.txt and each folder that it names: `sequence`, groundtruth.txt or groundtruth_ID.txt.
/// Pictures need not be there where `sequence` tells length, width and height. Throws MediaError naming the
/// file: a missing or damaged one, an annotation that is longer than the sequence, no object.
std::vector<VotsSequence> read_vots_dataset(const std::filesystem::path& root);

}  // namespace hqtrack
