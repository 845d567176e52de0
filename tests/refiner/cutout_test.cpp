#include "refiner/cutout.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

/// Alpha of a row of logits, each three pixels high.
std::vector<int> alphas(const std::vector<float>& logits) {
  const auto width = static_cast<int64_t>(logits.size());
  at::Tensor map = at::full({3, width}, 0.0, at::kFloat);
  for (int64_t x = 0; x < width; ++x) map.select(1, x).fill_(logits[static_cast<size_t>(x)]);
  const at::Tensor cut = cut_out(at::full({3, width, 3}, 200, at::kByte), map);
  std::vector<int> row;
  for (int64_t x = 0; x < width; ++x) row.push_back(cut[1][x][3].item<int>());
  return row;
}

TEST(CutOut, FollowsTheDistanceToTheEdgeNotTheSizeOfTheLogits) {
  // The edge lies a quarter of a pixel behind the third one.
  const std::vector<int> expected = {255, 255, 159, 32, 0, 0};
  EXPECT_EQ(alphas({22.5f, 12.5f, 2.5f, -7.5f, -17.5f, -27.5f}), expected);
  EXPECT_EQ(alphas({0.225f, 0.125f, 0.025f, -0.075f, -0.175f, -0.275f}), expected);
}

TEST(CutOut, DoubtMakesNoHolesAndStepsNoShadows) {
  EXPECT_EQ(alphas({9, 0.01f, 9, 9, -9, -0.01f, -9}), (std::vector<int>{255, 255, 255, 255, 0, 0, 0}));
  EXPECT_EQ(alphas({-100, -100, -8, -8, -8}), (std::vector<int>{0, 0, 0, 0, 0}));
}

TEST(CutOut, ShowsTheMaskAndItsColoursOnly) {
  const at::Tensor image = at::randint(1, 256, {21, 34, 3}).to(at::kByte), logits = at::randn({21, 34});
  const at::Tensor cut = cut_out(image, logits), alpha = cut.select(2, 3);
  EXPECT_TRUE(alpha.ge(128).equal(logits.gt(0)));
  const at::Tensor seen = image.masked_fill(alpha.eq(0).unsqueeze(2), 0);
  EXPECT_TRUE(cut.narrow(2, 0, 3).equal(seen));
}

TEST(CutOut, RefusesAMaskOfAnotherSize) {
  EXPECT_THROW(cut_out(at::full({4, 5, 3}, 0, at::kByte), at::full({5, 4}, 0.0, at::kFloat)), c10::Error);
}

}  // namespace
}  // namespace hqtrack
