#include "train/refiner_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/golden.h"

namespace hqtrack {
namespace {

/// [B, 1, 20, 24]: a soft blot each.
at::Tensor some_targets(int64_t count) {
  at::manual_seed(3);
  at::Tensor targets = at::zeros({count, 1, 20, 24}, at::kFloat);
  for (int64_t b = 0; b < count; ++b) {
    targets[b][0].slice(0, 2 + b, 6 + b).slice(1, 1, 5).copy_(at::rand({4, 4}));
    targets[b][0].slice(0, 3 + b, 5 + b).slice(1, 2, 4).fill_(1);
  }
  return targets;
}

/// The largest and smallest value at most `cells` cells away, within the map.
std::pair<float, float> range_near(const at::TensorAccessor<float, 2>& map, int64_t y, int64_t x,
                                   int64_t cells) {
  float high = -1, low = 2;
  for (int64_t v = std::max<int64_t>(0, y - cells); v <= std::min(map.size(0) - 1, y + cells); ++v) {
    for (int64_t u = std::max<int64_t>(0, x - cells); u <= std::min(map.size(1) - 1, x + cells); ++u) {
      high = std::max(high, map[v][u]);
      low = std::min(low, map[v][u]);
    }
  }
  return {high, low};
}

double slow_mask_loss(const at::Tensor& logits, const at::Tensor& targets) {
  const auto x = logits.accessor<float, 2>(), t = targets.accessor<float, 2>();
  double entropy = 0, weights = 0, product = 0, sum = 0;
  for (int64_t row = 0; row < t.size(0); ++row) {
    for (int64_t column = 0; column < t.size(1); ++column) {
      const double p = 1 / (1 + std::exp(-static_cast<double>(x[row][column]))), truth = t[row][column];
      const auto [high, low] = range_near(t, row, column, 1);
      const double weight =
          0.15 + (range_near(t, row, column, 8).first > 0 ? 1 : 0) + (high - low > 0.05 ? 3 : 0);
      entropy -= weight * (truth * std::log(p) + (1 - truth) * std::log(1 - p));
      weights += weight;
      product += p * truth;
      sum += p + truth;
    }
  }
  return 2 * entropy / weights + 1 - (2 * product + 1) / (sum + 1);
}

RawMasks some_masks(int64_t count) {
  at::manual_seed(5);
  return {at::randn({count, 4, 20, 24}), at::rand({count, 4}), at::randn({count, 1, 20, 24})};
}

TEST(RefinerLoss, OfAMaskIsTheFormula) {
  const at::Tensor targets = some_targets(3), logits = 2 * at::randn({3, 1, 20, 24});
  const at::Tensor loss = mask_loss(logits, targets, cell_weights(targets));
  for (int64_t b = 0; b < 3; ++b)
    EXPECT_NEAR(loss[b].item<double>(), slow_mask_loss(logits[b][0], targets[b][0]), 1e-5);
}

TEST(RefinerLoss, IsLeastForTheTruth) {
  const at::Tensor targets = some_targets(2);
  const at::Tensor right = (targets - 0.5) * 20, wrong = -right, weights = cell_weights(targets);
  EXPECT_LT(mask_loss(right, targets, weights).max().item<double>(), 0.5);
  EXPECT_GT(mask_loss(wrong, targets, weights).min().item<double>(), 3);
  EXPECT_TENSORS_CLOSE(mask_ious(right, targets), at::ones({2}), 1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(mask_ious(wrong, targets), at::zeros({2}), 1e-6, 1e-6);
}

TEST(RefinerLoss, AddsUpAllMasks) {
  const int64_t count = 2;
  const at::Tensor targets = some_targets(count);
  const RawMasks masks = some_masks(count);
  const MaskWeights weights{
      .sum = 1.5, .hq = 0.7, .single = 0.3, .best = 0.2, .mean = 0.1, .predicted_iou = 3};
  const RefinerLoss loss = refiner_loss(masks, targets, weights);
  double expected = 0, errors = 0, iou = 0;
  for (int64_t b = 0; b < count; ++b) {
    const at::Tensor target = targets.narrow(0, b, 1), hq = masks.hq.narrow(0, b, 1);
    const auto sam = [&](int64_t i) { return masks.sam.narrow(0, b, 1).narrow(1, i, 1); };
    const at::Tensor cells = cell_weights(target);
    const auto of = [&](const at::Tensor& logits) { return mask_loss(logits, target, cells).item<double>(); };
    const double each[] = {of(sam(1)), of(sam(2)), of(sam(3))};
    expected += 1.5 * of(sam(0) + hq) + 0.7 * of(hq) + 0.3 * of(sam(0)) +
                0.2 * *std::min_element(each, each + 3) + 0.1 * (each[0] + each[1] + each[2]) / 3;
    for (int64_t i = 0; i < 4; ++i) {
      const double true_iou = mask_ious(sam(i) + hq, target).item<double>();
      errors += std::pow(masks.predicted_ious[b][i].item<double>() - true_iou, 2) / 4;
      if (i == 0) iou += true_iou;
    }
  }
  EXPECT_NEAR(loss.masks, expected, 1e-4);
  EXPECT_NEAR(loss.estimate, errors, 1e-5);
  EXPECT_NEAR(loss.total.item<double>(), expected + 3 * errors, 1e-4);
  EXPECT_NEAR(loss.iou, iou, 1e-5);
}

TEST(RefinerLoss, WithoutHqBranchIsOfTheSamMasks) {
  const at::Tensor targets = some_targets(1);
  RawMasks masks = some_masks(1);
  masks.hq = at::Tensor();
  const MaskWeights weights{.sum = 1, .hq = 9, .single = 0, .best = 0, .mean = 0, .predicted_iou = 0};
  EXPECT_NEAR(refiner_loss(masks, targets, weights).total.item<double>(),
              mask_loss(masks.sam.narrow(1, 0, 1), targets, cell_weights(targets)).item<double>(), 1e-6);
}

}  // namespace
}  // namespace hqtrack
