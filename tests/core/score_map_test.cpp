#include "core/score_map.h"

#include <gtest/gtest.h>

#include <cmath>

namespace hqtrack {
namespace {

TEST(ScoreMap, IsTheProbabilityItselfByDefault) {
  for (const double p : {0.0, 0.3, 0.987654321, 1.0}) EXPECT_EQ(ScoreMap{}(p), p);
}

TEST(ScoreMap, IsALineInLogits) {
  const ScoreMap map{.scale = 2, .offset = -1};
  EXPECT_NEAR(map(0.5), 1 / (1 + std::exp(1.0)), 1e-12);
  EXPECT_NEAR(logit(map(0.8)), 2 * std::log(4.0) - 1, 1e-9);
  EXPECT_GT(map(1.0), 0.999);
  EXPECT_LT(map(1.0), 1.0);
}

TEST(ScoreMap, MapsOneAfterAnother) {
  const ScoreMap first{.scale = 2, .offset = -1}, second{.scale = 0.5, .offset = 3};
  for (const double p : {0.2, 0.6, 0.9}) EXPECT_NEAR(first.then(second)(p), second(first(p)), 1e-12);
}

}  // namespace
}  // namespace hqtrack
