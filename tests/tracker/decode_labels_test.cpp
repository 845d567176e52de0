#include "tracker/decode_labels.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

// Argmax and mean scores from the full-size probabilities.
void expect_decoded(const std::vector<at::Tensor>& logits, GridSize size, int64_t per_engine) {
  const DecodedLabels decoded = decode_labels(logits, size, per_engine);
  const at::Tensor probability = at::softmax(merge_logits(logits, size, per_engine)[0].to(at::kDouble), 0);
  const at::Tensor sorted = std::get<0>(probability.sort(0, /*descending=*/true));
  const at::Tensor is_clear = sorted[0] - sorted[1] > 1e-5;
  const at::Tensor different = (decoded.slots != probability.argmax(0)).logical_and(is_clear);
  EXPECT_EQ(different.sum().item<int64_t>(), 0) << size.height << " x " << size.width;
  for (int64_t slot = 1; slot < probability.size(0); ++slot) {
    const at::Tensor own = decoded.slots == slot;
    const double expected =
        own.any().item<bool>() ? probability[slot].masked_select(own).mean().item<double>() : 0.0;
    EXPECT_NEAR(decoded.mean_score[slot], expected, 1e-5) << "slot " << slot;
  }
}

TEST(DecodeLabels, EqualsTheFullSizeFormulaForOneEngine) {
  at::manual_seed(3);
  for (const GridSize size : {GridSize{1, 1}, GridSize{7, 5}, GridSize{33, 50}, GridSize{129, 161}}) {
    expect_decoded({at::randn({1, 4, 9, 11}) * 4}, size, 10);
    expect_decoded({at::randn({1, 2, 33, 41}) * 4}, size, 10);
  }
}

TEST(DecodeLabels, EqualsTheFullSizeFormulaForSeveralEngines) {
  at::manual_seed(4);
  for (const double strength : {1.0, 4.0, 12.0}) {
    const auto map = [&](int64_t channels) { return at::randn({1, channels, 9, 11}) * strength; };
    expect_decoded({map(11), map(4)}, {33, 41}, 10);
    expect_decoded({map(11), map(11), map(2)}, {200, 641}, 10);
  }
}

// Background leads in every engine and may lose all the same, once its probabilities are multiplied.
TEST(DecodeLabels, MergesWhereBackgroundLeadsEverywhere) {
  at::manual_seed(5);
  std::vector<at::Tensor> logits;
  for (int engine = 0; engine < 4; ++engine) {
    logits.push_back(at::rand({1, 11, 9, 11}));
    logits.back().select(1, 0).add_(at::rand({9, 11}) * 6 + 1);
  }
  const DecodedLabels decoded = decode_labels(logits, {33, 41}, 10);
  EXPECT_TRUE((decoded.slots > 0).any().item<bool>());
  EXPECT_TRUE((decoded.slots == 0).any().item<bool>());
  expect_decoded(logits, {33, 41}, 10);
}

// As other devices do it: in bands of rows.
TEST(DecodeLabels, EqualsTheFullSizeFormulaInBands) {
  at::manual_seed(6);
  const auto map = [](int64_t channels) { return at::randn({1, channels, 9, 11}, at::kDouble) * 4; };
  expect_decoded({map(4)}, {33, 41}, 10);
  expect_decoded({map(11), map(4)}, {400, 641}, 10);
}

TEST(DecodeLabels, GivesTheLowestSlotOnATie) {
  EXPECT_EQ(decode_labels({at::zeros({1, 3, 2, 2})}, {4, 4}, 10).slots.max().item<int64_t>(), 0);
}

TEST(MergeLogits, CountsTheObjectsThatAreMissingAsImpossible) {
  const at::Tensor merged = merge_logits({at::zeros({1, 11, 2, 2}), at::zeros({1, 3, 2, 2})}, {3, 3}, 10);
  ASSERT_EQ(merged.size(1), 21);
  EXPECT_NEAR(at::sigmoid(merged[0][20][0][0]).item<double>(), 1e-5, 1e-7);
  EXPECT_NEAR(at::sigmoid(merged[0][0][0][0]).item<double>(), 1.0 / 33, 1e-6);
  EXPECT_NEAR(at::sigmoid(merged[0][11][0][0]).item<double>(), 1.0 / 3, 1e-6);
}

}  // namespace
}  // namespace hqtrack
