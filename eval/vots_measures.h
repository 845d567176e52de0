#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/vots_dataset.h"

namespace hqtrack {

/// The measures of VOTS2023, as vot-toolkit 0.9 computes them. Frames whose annotation is code 0 (unknown)
/// do not count; the first frame does, with overlap 0, because its result is a code.

/// Share of the frames whose overlap lies above each of 100 thresholds from 0 to 1.
using SuccessCurve = std::array<double, 100>;

struct VotsMeasures {
  double quality = 0.0;   // mean overlap, 1 in frames where an absent object is not reported
  double accuracy = 0.0;  // mean overlap of the frames where it is tracked
  // Shares of the frames that show the object: tracked, not reported, elsewhere. Together 1. Undefined when
  // it is never shown.
  std::optional<double> robustness, nre, dre;
  std::optional<double> adq;  // share of the frames without the object that say so; undefined up to 10 frames
  std::optional<SuccessCurve> success;
};

/// One object. `overlaps` has an entry a frame, empty where the annotation is unknown.
struct VotsObjectScores {
  std::string id;
  VotsMeasures measures;
  // Frames: tracked, elsewhere, not reported; reported though absent, not reported and absent.
  int64_t tracked = 0, failed = 0, missed = 0, hallucinated = 0, noticed = 0;
  std::vector<std::optional<double>> overlaps;
};

struct VotsSequenceScores {
  std::string name;
  int64_t length = 0;
  VotsMeasures measures;  // means over the objects for which they are defined
  std::vector<VotsObjectScores> objects;
  std::optional<double> frames_per_second = {};  // of the tracker, where the results tell times
};

struct VotsScores {
  VotsMeasures measures;  // means over the sequences for which they are defined
  std::vector<VotsSequenceScores> sequences;
};

/// result: one region a frame, of the length of the sequence.
VotsObjectScores score_vots_object(const VotsSequence& sequence, const VotsObject& object,
                                   const VotTrajectory& result);

/// objects: in the order of the sequence.
VotsSequenceScores combine(const VotsSequence& sequence, std::vector<VotsObjectScores> objects);
VotsScores combine(std::vector<VotsSequenceScores> sequences);

}  // namespace hqtrack
