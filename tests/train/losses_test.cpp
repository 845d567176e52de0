#include "train/losses.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/golden.h"

namespace hqtrack {
namespace {

struct Case {
  at::Tensor logits, labels, valid;
};

/// Two clips, five classes of which the second clip may use three; a few pixels are not known.
Case make_case() {
  at::manual_seed(3);
  Case c{at::randn({2, 5, 6, 7}) * 2, at::randint(0, 3, {2, 6, 7}, at::kLong), at::ones({2, 5}, at::kBool)};
  c.valid[1][3] = false;
  c.valid[1][4] = false;
  c.labels[0].masked_fill_(c.labels[0] == 2, 4);
  c.labels[0][0][0] = 255;
  c.labels[1][5][6] = 255;
  return c;
}

/// The formula, pixel by pixel, in double.
double plain_segmentation_loss(const Case& c, double ratio) {
  const int64_t clips = c.logits.size(0), classes = c.logits.size(1), h = c.logits.size(2),
                w = c.logits.size(3);
  double entropy_sum = 0, jaccard_sum = 0;
  int64_t entropy_count = 0;
  for (int64_t b = 0; b < clips; ++b) {
    std::vector<double> entropy, pg(classes), p_sum(classes), g_sum(classes);
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) {
        const int64_t label = c.labels[b][y][x].item<int64_t>();
        std::vector<double> p(classes);
        double total = 0;
        for (int64_t k = 0; k < classes; ++k) {
          if (c.valid[b][k].item<bool>()) total += p[k] = std::exp(c.logits[b][k][y][x].item<double>());
        }
        entropy.push_back(label == 255 ? 0 : -std::log(p[label] / total));
        if (label == 255) continue;
        for (int64_t k = 0; k < classes; ++k) {
          p_sum[k] += p[k] / total;
          g_sum[k] += k == label;
          pg[k] += k == label ? p[k] / total : 0;
        }
      }
    }
    std::sort(entropy.rbegin(), entropy.rend());
    const auto count = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(h * w) * ratio));
    for (int64_t i = 0; i < count; ++i) entropy_sum += entropy[i];
    entropy_count += count;
    double jaccard = 0, num_valid = 0;
    for (int64_t k = 0; k < classes; ++k) {
      if (!c.valid[b][k].item<bool>()) continue;
      jaccard += 1 - (pg[k] + 1) / (p_sum[k] + g_sum[k] - pg[k] + 1);
      ++num_valid;
    }
    jaccard_sum += jaccard / num_valid;
  }
  return 0.5 * entropy_sum / static_cast<double>(entropy_count) +
         0.5 * jaccard_sum / static_cast<double>(clips);
}

TEST(SegmentationLoss, MatchesTheFormula) {
  const Case c = make_case();
  for (const double ratio : {1.0, 0.5, 0.2, 0.001}) {
    EXPECT_NEAR(segmentation_loss(c.logits, c.labels, c.valid, ratio).item<double>(),
                plain_segmentation_loss(c, ratio), 1e-5)
        << ratio;
  }
}

TEST(SegmentationLoss, UnknownPixelsAndInvalidClassesGetNoGradient) {
  Case c = make_case();
  c.logits.requires_grad_(true);
  segmentation_loss(c.logits, c.labels, c.valid, 1.0).backward();
  const at::Tensor gradient = c.logits.grad();
  EXPECT_EQ(gradient[0].select(1, 0).select(1, 0).abs().max().item<double>(), 0);
  EXPECT_EQ(gradient[1].narrow(0, 3, 2).abs().max().item<double>(), 0);
  EXPECT_GT(gradient[1].narrow(0, 0, 3).abs().max().item<double>(), 0);
}

TEST(SegmentationLoss, IsNearZeroForAPerfectPrediction) {
  Case c = make_case();
  c.labels.masked_fill_(c.labels == 255, 0);
  const at::Tensor perfect = one_hot_labels(c.labels, 5) * 40;
  EXPECT_LT(segmentation_loss(perfect, c.labels, c.valid, 1.0).item<double>(), 1e-4);
}

TEST(SegmentationLoss, RejectsSizesThatDiffer) {
  const Case c = make_case();
  EXPECT_THROW(segmentation_loss(c.logits, c.labels.narrow(1, 0, 5), c.valid, 1.0), c10::Error);
  EXPECT_THROW(segmentation_loss(c.logits, c.labels, c.valid, 0.0), c10::Error);
}

TEST(OneHotLabels, CountsUnknownAsBackground) {
  const at::Tensor labels = at::tensor({0, 2, 255, 1}, at::kByte).view({1, 2, 2});
  const at::Tensor expected = at::tensor({1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0}, at::kFloat).view({1, 3, 2, 2});
  EXPECT_TENSORS_CLOSE(one_hot_labels(labels, 3), expected, 0, 0);
}

TEST(LabelShares, AreMeansAroundTheCells) {
  at::manual_seed(1);
  const at::Tensor one_hot = one_hot_labels(at::randint(0, 3, {2, 33, 49}, at::kLong), 3);
  for (const int64_t stride : {8, 16}) {
    const int64_t rows = 32 / stride + 1, columns = 48 / stride + 1;
    const at::Tensor shares = label_shares(one_hot, stride);
    ASSERT_EQ(shares.sizes(), (std::vector<int64_t>{2, rows * columns, 3}));
    for (int64_t y = 0; y < rows; ++y) {
      for (int64_t x = 0; x < columns; ++x) {
        const int64_t y0 = std::max<int64_t>(0, y * stride - stride / 2),
                      y1 = std::min<int64_t>(33, y * stride + stride / 2 + 1);
        const int64_t x0 = std::max<int64_t>(0, x * stride - stride / 2),
                      x1 = std::min<int64_t>(49, x * stride + stride / 2 + 1);
        const at::Tensor window = one_hot.slice(2, y0, y1).slice(3, x0, x1).mean(at::IntArrayRef{2, 3});
        EXPECT_TENSORS_CLOSE(shares.select(1, y * columns + x), window, 0, 1e-5);
      }
    }
  }
}

TEST(CarriedLabelLoss, MatchesTheFormula) {
  at::manual_seed(2);
  const at::Tensor carried = at::rand({2, 10, 3}).softmax(-1),
                   shares = at::rand({2, 10, 3}).mul(3).softmax(-1);
  double sum = 0, weights = 0;
  for (int64_t b = 0; b < 2; ++b) {
    double foreground = 0;
    for (int64_t n = 0; n < 10; ++n) foreground += shares[b][n][0].item<double>() < 0.5;
    const double rarity = std::max(foreground / 10, 0.03);
    for (int64_t n = 0; n < 10; ++n) {
      double entropy = 0;
      for (int64_t k = 0; k < 3; ++k) {
        entropy -= shares[b][n][k].item<double>() * std::log(carried[b][n][k].item<double>() + 2e-3);
      }
      const double weight = shares[b][n][0].item<double>() < 0.5 ? 1 + 0.5 * (1 / rarity - 1) : 1;
      sum += weight * entropy;
      weights += weight;
    }
  }
  EXPECT_NEAR(carried_label_loss(carried, shares).item<double>(), sum / weights, 1e-5);
}

TEST(MeanObjectIou, CountsObjectsThatAreLargeEnough) {
  at::Tensor truth = at::zeros({2, 10, 10}, at::kLong), found = truth.clone();
  truth[0].slice(0, 0, 5).fill_(1);  // 50 px, 40 of them found, 10 more beside
  found[0].slice(0, 1, 6).fill_(1);
  truth[1].slice(0, 0, 3).fill_(2);  // 30 px, all found
  found[1].slice(0, 0, 3).fill_(2);
  truth[1][9].slice(0, 0, 4).fill_(3);  // 4 px: too small to count
  EXPECT_NEAR(mean_object_iou(found, truth, 5, 20), (40.0 / 60 + 1) / 2, 1e-9);
  truth[0][5].fill_(255);  // the pixels found beside it are not known: they cost nothing
  EXPECT_NEAR(mean_object_iou(found, truth, 5, 20), (40.0 / 50 + 1) / 2, 1e-9);
  EXPECT_EQ(mean_object_iou(found, truth, 5, 1000), -1);
}

}  // namespace
}  // namespace hqtrack
