#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/score_map.h"
#include "eval/davis_evaluation.h"

namespace hqtrack {

/// The masks whose own score lies in one range. A calibrated score says what J is to be expected: then both
/// means agree.
struct ScoreBin {
  int64_t masks = 0;
  double mean_score = 0.0, mean_j = 0.0;
};

/// What the tracker's own scores were worth, over all masks that it gave in scored frames.
struct ScoreCalibration {
  std::array<ScoreBin, 10> bins;        // by tenths of the score
  double expected_error = 0.0;          // mean over masks of |mean_score - mean_j| of their bin (ECE)
  std::optional<ScoreMap> better = {};  // to be applied to these scores; least cross entropy with J. Empty
                                        // where the masks do not tell
};

/// No masks where results were scored.
ScoreCalibration score_calibration(const DavisScores& scores);

}  // namespace hqtrack
