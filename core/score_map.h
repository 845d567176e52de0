#pragma once

namespace hqtrack {

/// log(p / (1 - p)), finite: p is kept 1e-6 away from 0 and 1.
double logit(double p);

/// From the mean probability over a mask to the overlap (J) that may be expected of it:
/// sigmoid(scale * logit(p) + offset), fitted for a set of weights (Platt scaling). The default is p itself.
struct ScoreMap {
  double scale = 1.0, offset = 0.0;

  double operator()(double p) const;
  /// This map first, then the other.
  ScoreMap then(const ScoreMap& other) const;
};

}  // namespace hqtrack
