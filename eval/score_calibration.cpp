#include "eval/score_calibration.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hqtrack {
namespace {

struct Mask {
  double score = 0.0, j = 0.0;
};

std::vector<Mask> masks_of(const DavisScores& scores) {
  std::vector<Mask> masks;
  for (const SequenceScores& sequence : scores.sequences) {
    for (const ObjectScores& object : sequence.objects) {
      for (size_t i = 0; i < object.score.size(); ++i) {
        if (object.score[i] > 0) masks.push_back({.score = object.score[i], .j = object.j[i]});
      }
    }
  }
  return masks;
}

/// Logistic regression of J on the logit of the score, by Newton's method (Platt scaling).
std::optional<ScoreMap> fit(const std::vector<Mask>& masks) {
  constexpr int kMostSteps = 100;
  ScoreMap map;
  for (int step = 0; step < kMostSteps; ++step) {
    double g_scale = 0, g_offset = 0, h_scale = 0, h_both = 0, h_offset = 0;
    for (const Mask& mask : masks) {
      const double x = logit(mask.score), p = map(mask.score), weight = p * (1 - p);
      g_scale += (mask.j - p) * x;
      g_offset += mask.j - p;
      h_scale += weight * x * x;
      h_both += weight * x;
      h_offset += weight;
    }
    const double determinant = h_scale * h_offset - h_both * h_both;
    if (!(determinant > 1e-9 * h_scale * h_offset)) return std::nullopt;
    const double scale = (g_scale * h_offset - g_offset * h_both) / determinant,
                 offset = (g_offset * h_scale - g_scale * h_both) / determinant;
    map.scale += scale;
    map.offset += offset;
    if (std::abs(scale) + std::abs(offset) < 1e-9) return map;
  }
  return std::nullopt;
}

}  // namespace

ScoreCalibration score_calibration(const DavisScores& scores) {
  const std::vector<Mask> masks = masks_of(scores);
  ScoreCalibration calibration{.bins = {}};
  for (const Mask& mask : masks) {
    ScoreBin& bin = calibration.bins[std::min<size_t>(static_cast<size_t>(mask.score * 10), 9)];
    ++bin.masks;
    bin.mean_score += mask.score;
    bin.mean_j += mask.j;
  }
  for (ScoreBin& bin : calibration.bins) {
    if (bin.masks == 0) continue;
    calibration.expected_error += std::abs(bin.mean_score - bin.mean_j) / static_cast<double>(masks.size());
    bin.mean_score /= static_cast<double>(bin.masks);
    bin.mean_j /= static_cast<double>(bin.masks);
  }
  calibration.better = fit(masks);
  return calibration;
}

}  // namespace hqtrack
