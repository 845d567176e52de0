#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "eval/davis_dataset.h"
#include "eval/davis_metrics.h"
#include "eval/sequence_tracker.h"

namespace hqtrack {

/// Means over frames, objects or sequences, 0..1; NaN where nothing is scored.
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
  size_t first_frame = 0;  // position of the frame in which it enters
  std::vector<double> j, f;
  std::vector<std::optional<double>> boundary_iou = {};  // empty where neither mask has a pixel
  std::vector<size_t> frames = {};                       // positions of the scored frames
  std::vector<double> score = {};  // what the tracker says of its mask; 0 where it gives none
  LostCounts lost = {};
  std::optional<double> first_mask_j = {};  // of the mask made of its box, where the tracker sees that only

  /// Nothing where no frame is scored.
  std::optional<DavisMeans> means() const;
  std::optional<double> mean_boundary_iou() const;
};

/// A frame with one of the lowest J of its sequence.
struct WorstFrame {
  size_t position = 0;
  int64_t id = 0;  // of the object
  double j = 1.0;
  at::Tensor truth, result;  // label masks, uint8 [H, W]
};

struct SequenceScores {
  std::string name;
  int64_t num_frames = 0;
  std::vector<ObjectScores> objects;             // ascending id
  std::optional<double> frames_per_second = {};  // of the tracker alone: without reading pictures and scoring
  std::vector<WorstFrame> worst = {};            // ascending J, few
  int64_t num_pixels = 0, num_right_pixels = 0;  // of all scored frames; right: with the true label

  DavisMeans means() const;  // over the objects that are scored
  std::optional<double> boundary_iou() const;
  LostCounts lost() const;  // of all of them
};

struct DavisScores {
  std::vector<SequenceScores> sequences;

  /// Over all objects of all sequences, not over sequences, as DAVIS 2017 defines it.
  ScoreStatistics j() const;
  ScoreStatistics f() const;
  DavisMeans means() const { return {j().mean, f().mean}; }
  std::optional<double> boundary_iou() const;
  std::optional<double> first_mask_j() const;
  double pixel_accuracy() const;  // share of right pixels; 1 where no frame is scored
  int64_t num_objects() const;
  LostCounts lost() const;
  /// One entry for all sequences whose names differ only in a number behind the last '-': a sequence of all
  /// their objects, ids as they are.
  std::vector<SequenceScores> by_kind() const;
  /// One entry an attribute with the objects of all sequences that have it, in the order of their names.
  std::vector<SequenceScores> by_attribute(const DavisAttributes& attributes) const;
  std::optional<double> frames_per_second() const;  // over all frames
};

struct EvaluationOptions {
  std::filesystem::path masks_folder = {};  // gets SEQUENCE/NAME_OF_FRAME.png of every frame; empty: none
  bool from_boxes = false;                  // the tracker sees the outer boxes of the first masks only
  /// After each one, in their order; where a sequence fails also of the others that are finished.
  std::function<void(const SequenceScores&)> on_sequence = {};
  std::function<void(const std::string&)> on_fault = {};  // see evaluate_results; from any thread
  std::stop_token stop = {};                              // asked before each frame
};

/// Runs trackers over the sequences and scores what they give (semi-supervised). Each tracker has a thread
/// and takes sequence after sequence. Throws MediaError naming the file: unreadable pictures, a first
/// annotation without objects, sizes that differ. Throws Interrupted when asked to stop.
DavisScores evaluate_trackers(const std::vector<DavisSequence>& sequences,
                              const std::vector<std::unique_ptr<SequenceTracker>>& trackers,
                              const EvaluationOptions& options = {});

/// Scores masks that lie in results_folder/SEQUENCE/NAME_OF_FRAME.png, several sequences at a time.
/// Throws MediaError naming the file: a missing mask, one of another size, an id that is none of the
/// objects'. With on_fault such a mask counts as empty, unknown ids as background, and on_fault hears of it.
DavisScores evaluate_results(const std::vector<DavisSequence>& sequences,
                             const std::filesystem::path& results_folder,
                             const EvaluationOptions& options = {});

}  // namespace hqtrack
