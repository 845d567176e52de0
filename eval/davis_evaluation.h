#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/frame.h"
#include "eval/davis_dataset.h"
#include "eval/davis_metrics.h"

namespace hqtrack {

/// Means over frames, objects or sequences, 0..1.
struct DavisMeans {
  double j = 0.0, f = 0.0;
  double j_and_f() const { return (j + f) / 2; }
};

/// Frames in which an object has no pixel, in the truth and in the result.
struct LostCounts {
  int64_t absent = 0, said = 0, rightly_said = 0;

  LostCounts& operator+=(const LostCounts& other);
};

/// One object of one sequence. The lists have one entry a scored frame.
struct ObjectScores {
  int64_t id = 0;
  std::vector<double> j, f;
  std::vector<double> score = {};  // what the tracker says of its mask; 0 where it gives none
  LostCounts lost = {};

  DavisMeans means() const { return {score_statistics(j).mean, score_statistics(f).mean}; }
};

struct SequenceScores {
  std::string name;
  int64_t num_frames = 0;
  std::vector<ObjectScores> objects;             // ascending id
  std::optional<double> frames_per_second = {};  // of the tracker alone: without reading pictures and scoring

  DavisMeans means() const;  // over the objects
  LostCounts lost() const;   // of all of them
};

struct DavisScores {
  std::vector<SequenceScores> sequences;

  /// Over all objects of all sequences, not over sequences, as DAVIS 2017 defines it.
  ScoreStatistics j() const;
  ScoreStatistics f() const;
  DavisMeans means() const { return {j().mean, f().mean}; }
  int64_t num_objects() const;
  LostCounts lost() const;
  /// One entry for all sequences whose names differ only in a number behind the last '-': a sequence of all
  /// their objects, ids as they are.
  std::vector<SequenceScores> by_kind() const;
  /// One entry an attribute with the objects of all sequences that have it, in the order of their names.
  std::vector<SequenceScores> by_attribute(const DavisAttributes& attributes) const;
  std::optional<double> frames_per_second() const;  // over all frames
};

/// What is evaluated. Sees pictures and the first mask, never the other annotations.
class SequenceTracker {
 public:
  struct Result {
    at::Tensor label_mask;             // uint8 [H, W]
    std::map<int64_t, double> scores;  // by id, of the objects with a mask: how sure the tracker is of it
  };

  virtual ~SequenceTracker() = default;
  /// Forgets everything; label_mask: uint8 [H, W], size of the picture.
  virtual void start(Frame frame, const at::Tensor& label_mask) = 0;
  virtual Result track(Frame frame) = 0;
};

using OnSequence = std::function<void(const SequenceScores&)>;

/// Runs the tracker over each sequence from its first annotation and scores what it gives (semi-supervised
/// DAVIS: the first and the last annotated frame are left out). The objects are the ids of the first
/// annotation; later ids are background. masks_folder, where given, gets SEQUENCE/NAME_OF_FRAME.png of every
/// frame. on_sequence is called after each sequence. Throws MediaError naming the file: unreadable pictures,
/// a first annotation without objects, sizes that differ.
DavisScores evaluate_tracker(const std::vector<DavisSequence>& sequences, SequenceTracker& tracker,
                             const std::filesystem::path& masks_folder = {},
                             const OnSequence& on_sequence = {});

/// Scores masks that lie in results_folder/SEQUENCE/NAME_OF_FRAME.png.
/// Throws MediaError naming the file: a missing mask, one of another size, an id that is none of the
/// objects'.
DavisScores evaluate_results(const std::vector<DavisSequence>& sequences,
                             const std::filesystem::path& results_folder, const OnSequence& on_sequence = {});

}  // namespace hqtrack
