#include "core/score_map.h"

#include <algorithm>
#include <cmath>

namespace hqtrack {

double logit(double p) {
  constexpr double kEdge = 1e-6;
  const double inside = std::clamp(p, kEdge, 1 - kEdge);
  return std::log(inside / (1 - inside));
}

double ScoreMap::operator()(double p) const {
  if (scale == 1.0 && offset == 0.0) return p;
  return 1 / (1 + std::exp(-(scale * logit(p) + offset)));
}

ScoreMap ScoreMap::then(const ScoreMap& other) const {
  return {.scale = other.scale * scale, .offset = other.scale * offset + other.offset};
}

}  // namespace hqtrack
