#include "eval/davis_metrics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace hqtrack {
namespace {

at::Tensor empty_mask(int64_t height, int64_t width) { return at::zeros({height, width}, at::kByte); }

at::Tensor rectangle(int64_t height, int64_t width, int64_t x, int64_t y, int64_t w, int64_t h) {
  at::Tensor mask = empty_mask(height, width);
  mask.slice(0, y, y + h).slice(1, x, x + w).fill_(1);
  return mask;
}

// ---- the definitions, written down as plainly as possible ----

bool at_pixel(const at::Tensor& mask, const at::Tensor& void_mask, int64_t y, int64_t x) {
  const int64_t i = y * mask.size(1) + x;
  if (void_mask.defined() && void_mask.const_data_ptr<uint8_t>()[i]) return false;
  return mask.const_data_ptr<uint8_t>()[i] != 0;
}

std::vector<std::pair<int64_t, int64_t>> plain_contour(const at::Tensor& mask, const at::Tensor& void_mask) {
  std::vector<std::pair<int64_t, int64_t>> contour;
  const int64_t height = mask.size(0), width = mask.size(1);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      bool differs = false;
      for (int64_t dy = 0; dy <= 1; ++dy) {
        for (int64_t dx = 0; dx <= 1; ++dx) {
          if (y + dy >= height || x + dx >= width) continue;
          differs |= at_pixel(mask, void_mask, y, x) != at_pixel(mask, void_mask, y + dy, x + dx);
        }
      }
      if (differs) contour.emplace_back(y, x);
    }
  }
  return contour;
}

double plain_share_near(const std::vector<std::pair<int64_t, int64_t>>& contour,
                        const std::vector<std::pair<int64_t, int64_t>>& other, double radius) {
  int64_t near = 0;
  for (const auto& [y, x] : contour) {
    near += std::any_of(other.begin(), other.end(), [&, y = y, x = x](const auto& point) {
      const auto dy = static_cast<double>(point.first - y), dx = static_cast<double>(point.second - x);
      return dy * dy + dx * dx <= radius * radius;
    });
  }
  return static_cast<double>(near) / static_cast<double>(contour.size());
}

double plain_f(const at::Tensor& truth, const at::Tensor& result, const at::Tensor& void_mask) {
  const auto a = plain_contour(truth, void_mask), b = plain_contour(result, void_mask);
  if (a.empty() && b.empty()) return 1;
  if (a.empty() || b.empty()) return 0;
  const double radius = std::ceil(0.008 * std::hypot(truth.size(0), truth.size(1)));
  const double precision = plain_share_near(b, a, radius), recall = plain_share_near(a, b, radius);
  return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

double plain_j(const at::Tensor& truth, const at::Tensor& result, const at::Tensor& void_mask) {
  int64_t both = 0, any = 0;
  for (int64_t y = 0; y < truth.size(0); ++y) {
    for (int64_t x = 0; x < truth.size(1); ++x) {
      both += at_pixel(truth, void_mask, y, x) && at_pixel(result, void_mask, y, x);
      any += at_pixel(truth, void_mask, y, x) || at_pixel(result, void_mask, y, x);
    }
  }
  return any == 0 ? 1 : static_cast<double>(both) / static_cast<double>(any);
}

/// Pixels of the mask with background, or the end of the picture, within a square of this radius.
std::vector<std::pair<int64_t, int64_t>> plain_edge(const at::Tensor& mask, int64_t radius) {
  std::vector<std::pair<int64_t, int64_t>> edge;
  const int64_t height = mask.size(0), width = mask.size(1);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      if (!at_pixel(mask, {}, y, x)) continue;
      const bool is_inside = y >= radius && x >= radius && y + radius < height && x + radius < width;
      const at::Tensor around =
          is_inside ? mask.slice(0, y - radius, y + radius + 1).slice(1, x - radius, x + radius + 1) : mask;
      if (!is_inside || around.ne(0).logical_not().any().item<bool>()) edge.emplace_back(y, x);
    }
  }
  return edge;
}

std::optional<double> plain_boundary_iou(const at::Tensor& truth, const at::Tensor& result) {
  const double diagonal = std::hypot(truth.size(0), truth.size(1));
  const auto radius = std::max<int64_t>(1, std::lrint(0.02 * diagonal));
  const auto a = plain_edge(truth, radius), b = plain_edge(result, radius);
  std::vector<std::pair<int64_t, int64_t>> both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  const double either = static_cast<double>(a.size() + b.size() - both.size());
  return either == 0 ? std::nullopt : std::optional(static_cast<double>(both.size()) / either);
}

/// A few random boxes, and single pixels flipped here and there.
at::Tensor random_mask(int64_t height, int64_t width, std::mt19937& random) {
  at::Tensor mask = empty_mask(height, width);
  const auto below = [&](int64_t limit) {
    return static_cast<int64_t>(random() % static_cast<uint32_t>(limit));
  };
  for (int64_t n = below(4); n > 0; --n) {
    const int64_t y = below(height), x = below(width);
    mask.slice(0, y, y + 1 + below(height)).slice(1, x, x + 1 + below(width)).fill_(1);
  }
  auto* pixels = mask.mutable_data_ptr<uint8_t>();
  for (int64_t n = below(6); n > 0; --n) pixels[below(mask.numel())] ^= 1;
  return mask;
}

TEST(DavisMetrics, AgreeWithThePlainDefinitionOverOddSizes) {
  std::mt19937 random(7);
  // The last sizes have tolerances of 2 and 5 pixels; one is as flat as a picture can be.
  const std::vector<std::pair<int64_t, int64_t>> sizes = {
      {1, 1}, {1, 9}, {9, 1}, {2, 2}, {7, 13}, {40, 33}, {121, 161}, {95, 178}, {3, 600}, {401, 423}};
  for (const auto& [height, width] : sizes) {
    for (int round = 0; round < 12; ++round) {
      const at::Tensor truth = random_mask(height, width, random),
                       result = random_mask(height, width, random);
      const at::Tensor void_mask = round % 3 == 2 ? random_mask(height, width, random) : at::Tensor();
      SCOPED_TRACE(::testing::Message() << height << "x" << width << " round " << round);
      EXPECT_DOUBLE_EQ(region_similarity_j(truth, result, void_mask), plain_j(truth, result, void_mask));
      EXPECT_DOUBLE_EQ(contour_accuracy_f(truth, result, void_mask), plain_f(truth, result, void_mask));
    }
  }
}

TEST(DavisMetrics, BoundaryIouAgreesWithThePlainDefinitionOverOddSizes) {
  std::mt19937 random(11);
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {1, 9}, {9, 1}, {2, 2}, {7, 13}, {40, 33}, {121, 161}, {3, 300}}) {
    for (int round = 0; round < 8; ++round) {
      const at::Tensor truth = random_mask(height, width, random),
                       result = random_mask(height, width, random);
      SCOPED_TRACE(::testing::Message() << height << "x" << width << " round " << round);
      EXPECT_EQ(boundary_iou(truth, result), plain_boundary_iou(truth, result));
    }
  }
}

TEST(DavisMetrics, EmptyAndFullMasks) {
  const at::Tensor none = empty_mask(50, 70), all = at::ones({50, 70}, at::kByte);
  const at::Tensor box = rectangle(50, 70, 5, 5, 25, 15);
  EXPECT_EQ(region_similarity_j(none, none), 1);
  EXPECT_EQ(region_similarity_j(none, box), 0);
  EXPECT_DOUBLE_EQ(region_similarity_j(all, box), 375.0 / 3500.0);
  EXPECT_EQ(contour_accuracy_f(none, none), 1);
  EXPECT_EQ(contour_accuracy_f(all, none), 1) << "a full picture has no contour";
  EXPECT_EQ(contour_accuracy_f(box, none), 0);
  EXPECT_EQ(contour_accuracy_f(none, box), 0);
  EXPECT_EQ(contour_accuracy_f(box, box), 1);
}

TEST(DavisMetrics, ToleranceIsADiskThatIsReachedExactly) {
  ASSERT_EQ(contour_tolerance_px(480, 854), 8);
  const at::Tensor truth = rectangle(480, 854, 100, 100, 60, 40);
  EXPECT_EQ(contour_accuracy_f(truth, rectangle(480, 854, 108, 100, 60, 40)), 1) << "8 pixels aside";
  EXPECT_LT(contour_accuracy_f(truth, rectangle(480, 854, 109, 100, 60, 40)), 1) << "9 pixels aside";
  // Single pixels have a contour of 2 x 2: only nearest corners count, here 6 and 6 apart (8.5 pixels).
  EXPECT_EQ(contour_accuracy_f(rectangle(480, 854, 50, 50, 1, 1), rectangle(480, 854, 57, 57, 1, 1)), 0);
  EXPECT_GT(contour_accuracy_f(rectangle(480, 854, 50, 50, 1, 1), rectangle(480, 854, 57, 56, 1, 1)), 0);
}

TEST(DavisMetrics, TakeBoolMasksAndViews) {
  const at::Tensor truth = rectangle(40, 60, 3, 4, 20, 10), result = rectangle(40, 60, 5, 5, 20, 10);
  EXPECT_EQ(region_similarity_j(truth.to(at::kBool), result), region_similarity_j(truth, result));
  EXPECT_EQ(contour_accuracy_f(truth.t(), result.t()),
            contour_accuracy_f(truth.t().contiguous(), result.t().contiguous()));
}

TEST(DavisMetrics, RejectMasksOfOtherSizesAndTypes) {
  const at::Tensor mask = empty_mask(10, 12);
  EXPECT_THROW(region_similarity_j(mask, empty_mask(12, 10)), c10::Error);
  EXPECT_THROW(contour_accuracy_f(mask, empty_mask(10, 11)), c10::Error);
  EXPECT_THROW(contour_accuracy_f(mask, mask, empty_mask(9, 12)), c10::Error);
  EXPECT_THROW(region_similarity_j(mask, mask.to(at::kFloat)), c10::Error);
}

TEST(DavisMetrics, StatisticsOfAShortList) {
  // Edges of the quarters of 6 frames (from 0): 1.25, 3.75, 5 -> 1, 4, 5.
  const std::vector<double> scores = {0.9, 0.7, 0.5, 0.4, 0.2, 0.6};
  const ScoreStatistics statistics = score_statistics(scores);
  EXPECT_DOUBLE_EQ(statistics.mean, 3.3 / 6);
  EXPECT_DOUBLE_EQ(statistics.recall, 0.5);
  EXPECT_DOUBLE_EQ(statistics.decay, 0.8 - 0.4);
  EXPECT_THROW(score_statistics({}), c10::Error);
  EXPECT_EQ(score_statistics(std::vector<double>{0.25}).decay, 0);
}

TEST(DavisMetrics, DecayOfALongSequenceIsANumber) {
  std::vector<double> scores(300);
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = 1.0 - static_cast<double>(i) / 299.0;
  // Frames 0..75 and 224..299: means 1 - 37.5 / 299 and 1 - 261.5 / 299.
  EXPECT_NEAR(score_statistics(scores).decay, 224.0 / 299.0, 1e-12);
}

}  // namespace
}  // namespace hqtrack
