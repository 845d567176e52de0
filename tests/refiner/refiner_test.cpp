#include "refiner/refiner.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "core/threads.h"
#include "refiner/box_prompts.h"
#include "refiner/preprocess.h"
#include "tests/refiner/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

using testing::picture_with_square;
using testing::tiny_config;
using testing::tiny_network;

class RefinerTest : public ::testing::Test {
 protected:
  RefinerConfig config_ = tiny_config();
  Refiner refiner_{tiny_network(config_), config_};
  at::Tensor picture_ = picture_with_square(61, 83, 20, 10, 25);
};

Prompts box(double x0, double y0, double x1, double y1) {
  Prompts prompts;
  prompts.boxes = at::tensor({x0, y0, x1, y1}, at::kDouble).view({1, 4});
  return prompts;
}

TEST_F(RefinerTest, MasksHaveThePicturesSize) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{61, 83}, {200, 40}, {96, 96}, {1, 30}}) {
    const at::Tensor picture = picture_with_square(height, width, 0, 0, 1);
    const Prediction prediction = refiner_.predict(refiner_.encode(picture), box(0, 0, 5, 0));
    EXPECT_EQ(prediction.logits.sizes(), at::IntArrayRef({1, height, width}));
    EXPECT_EQ(prediction.low_res.sizes(), at::IntArrayRef({1, 1, 24, 24}));
    EXPECT_EQ(prediction.scores.sizes(), at::IntArrayRef({1}));
  }
}

TEST_F(RefinerTest, CutsThePaddingOffBeforeTheLastResize) {
  const ImageEmbedding image = refiner_.encode(picture_);
  EXPECT_EQ(image.image_size, (GridSize{61, 83}));
  EXPECT_EQ(image.resized_size, (GridSize{71, 96}));
  const Prediction prediction = refiner_.predict(image, box(20, 10, 44, 34));
  const at::Tensor padded = at::upsample_bilinear2d(prediction.low_res, {96, 96}, false);
  const at::Tensor expected = at::upsample_bilinear2d(padded.narrow(2, 0, 71), {61, 83}, false);
  EXPECT_TENSORS_CLOSE(prediction.logits, expected.squeeze(1), 0, 0);
}

TEST_F(RefinerTest, OptionsChangeTheAnswerAndTheConfigurationGivesThem) {
  const ImageEmbedding image = refiner_.encode(picture_);
  const Prompts prompts = box(20, 10, 44, 34);
  const at::Tensor by_default = refiner_.predict(image, prompts).logits;
  EXPECT_TENSORS_CLOSE(by_default, refiner_.predict(image, prompts, {true, false}).logits, 0, 0);
  for (const PredictOptions& other : {PredictOptions{false, false}, PredictOptions{true, true}}) {
    EXPECT_FALSE(at::allclose(by_default, refiner_.predict(image, prompts, other).logits));
  }
  config_.hq_token_only = true;
  Refiner hq_only(tiny_network(config_), config_);
  EXPECT_TENSORS_CLOSE(hq_only.predict(image, prompts).logits,
                       refiner_.predict(image, prompts, {true, true}).logits, 0, 0);
}

TEST_F(RefinerTest, AnAnswerCanBeAskedAbout) {
  const ImageEmbedding image = refiner_.encode(picture_);
  Prompts prompts = box(20, 10, 44, 34);
  const Prediction first = refiner_.predict(image, prompts);
  prompts.masks = first.low_res;
  const Prediction second = refiner_.predict(image, prompts);
  EXPECT_FALSE(at::allclose(second.logits, first.logits));
}

TEST_F(RefinerTest, RefinesEachObjectByItsBox) {
  at::Tensor labels = at::zeros({61, 83}, at::kByte);
  labels.narrow(0, 10, 25).narrow(1, 20, 25).fill_(7);
  labels.narrow(0, 40, 8).narrow(1, 60, 9).fill_(3);
  const auto proposals = refiner_.refine(picture_, labels);
  ASSERT_EQ(proposals.size(), 2u);
  const ImageEmbedding image = refiner_.encode(picture_);
  const std::vector<std::pair<int64_t, Prompts>> expected = {{3, box(60, 40, 68, 47)},
                                                             {7, box(20, 10, 44, 34)}};
  for (size_t i = 0; i < expected.size(); ++i) {
    const Prediction alone = refiner_.predict(image, expected[i].second);
    EXPECT_EQ(proposals[i].id, expected[i].first);
    EXPECT_TENSORS_CLOSE(proposals[i].logits, alone.logits[0], 1e-4, 1e-5);
    EXPECT_NEAR(proposals[i].score, alone.scores[0].item<double>(), 1e-5);
  }
}

// Whatever the network thinks of the rest of the picture.
TEST_F(RefinerTest, AMaskOfABoxEndsAQuarterOfItBeyond) {
  ObjectPrompt prompt;
  prompt.id = 1;
  prompt.box = {20, 10, 40, 30};
  ObjectPrompt with_point = prompt;
  with_point.points = {{.x = 60, .y = 12}, {.x = 0, .y = 50, .is_object = false}};
  for (const char* mode : {"frame", "crop"}) {
    config_.mode = mode;
    Refiner refiner(tiny_network(config_), config_);
    const auto reach = [&](const ObjectPrompt& asked) {
      const at::Tensor logits = refiner.segment(picture_, {&asked, 1})[0].logits;
      const at::Tensor seen = (logits > -99).nonzero();
      return std::array{std::get<0>(seen.min(0)), std::get<0>(seen.max(0))};
    };
    const auto [first, last] = reach(prompt);
    EXPECT_TRUE(first.equal(at::tensor({5, 15}, at::kLong))) << mode << first;
    EXPECT_TRUE(last.equal(at::tensor({34, 44}, at::kLong))) << mode << last;
    const auto [first_with, last_with] = reach(with_point);  // of box and point: 20 to 61
    EXPECT_LE(first_with[1].item<int64_t>(), 15) << mode;
    EXPECT_GE(last_with[1].item<int64_t>(), 60) << mode;
    EXPECT_LE(last_with[1].item<int64_t>(), 71) << mode;
  }
}

// Seen by changing the pixels in between, which nobody else does.
TEST_F(RefinerTest, SeveralQuestionsAboutAPictureEncodeItOnce) {
  ObjectPrompt prompt;
  prompt.id = 1;
  prompt.box = {20, 10, 44, 34};
  const auto ask = [&](const at::Tensor& picture) {
    return refiner_.segment(picture, {&prompt, 1})[0].logits;
  };
  const at::Tensor expected = ask(picture_);
  const at::Tensor other = at::zeros_like(picture_), of_other = ask(other.clone());
  EXPECT_FALSE(of_other.equal(expected));
  EXPECT_TRUE(ask(picture_).equal(expected));
  picture_.zero_();
  EXPECT_TRUE(ask(picture_).equal(expected));
  EXPECT_TRUE(ask(other).equal(of_other));
}

TEST_F(RefinerTest, ProposesNothingWithoutObjects) {
  EXPECT_TRUE(refiner_.refine(picture_, at::zeros({61, 83}, at::kByte)).empty());
  EXPECT_THROW(refiner_.refine(picture_, at::zeros({60, 83}, at::kByte)), c10::Error);
}

TEST_F(RefinerTest, ACropIsPromptedByBoxAndMask) {
  config_.mode = "crop";
  config_.crop_margin_px = 4;  // and 0.2 * 24 = 4.8
  config_.prompt_residual = 0.25;
  Refiner refiner(tiny_network(config_), config_);
  at::Tensor labels = at::zeros({61, 83}, at::kByte);
  labels.narrow(0, 10, 25).narrow(1, 20, 25).fill_(7);
  labels.narrow(0, 12, 3).narrow(1, 22, 3).fill_(0);  // a hole: the mask is not its box
  labels.narrow(0, 14, 5).narrow(1, 30, 5).fill_(9);  // another object in its crop
  const auto proposals = refiner.refine(picture_, labels);
  ASSERT_EQ(proposals.size(), 2u);
  EXPECT_EQ(proposals[0].id, 7);
  EXPECT_EQ(proposals[1].id, 9);
  const int64_t x0 = 11, y0 = 1, x1 = 53, y1 = 43;
  const ImageEmbedding part = refiner.encode(picture_.slice(0, y0, y1).slice(1, x0, x1).contiguous());
  Prompts prompts = box(20 - x0, 10 - y0, 44 - x0, 34 - y0);
  prompts.masks = mask_prompt(labels.eq(7).slice(0, y0, y1).slice(1, x0, x1), part.resized_size, {96, 96});
  const Prediction alone = refiner.predict(part, prompts, {true, false, 0});
  const at::Tensor logits = alone.low_res + 0.25 * prompts.masks;
  const at::Tensor padded = at::upsample_bilinear2d(logits, {96, 96}, false);
  const at::Tensor expected = at::upsample_bilinear2d(
      padded.narrow(2, 0, part.resized_size.height).narrow(3, 0, part.resized_size.width), {y1 - y0, x1 - x0},
      false);
  at::Tensor found = proposals[0].logits.clone();
  EXPECT_TENSORS_CLOSE(found.slice(0, y0, y1).slice(1, x0, x1), expected[0][0], 1e-4, 1e-5);
  found.slice(0, y0, y1).slice(1, x0, x1).fill_(-1);
  EXPECT_LT(found.max().item<float>(), 0) << "beyond the crop";
}

// Six are looked at in two groups, on two threads at a time.
TEST_F(RefinerTest, CropsBesideEachOtherAnswerAsEachAlone) {
  config_.mode = "crop";
  Refiner refiner(tiny_network(config_), config_);
  at::Tensor labels = at::zeros({61, 83}, at::kByte);
  for (int64_t i = 0; i < 6; ++i) labels.narrow(0, 8 * i, 7).narrow(1, 10 * i, 9 + 2 * i).fill_(i + 1);
  std::vector<MaskProposal> together;
  std::thread([&] {
    set_threads(2, 2);
    const SerialOperators operators;
    together = refiner.refine(picture_, labels);
  }).join();
  ASSERT_EQ(together.size(), 6u);
  for (size_t i = 0; i < together.size(); ++i) {
    const auto id = static_cast<int64_t>(i) + 1;
    const auto alone = refiner.refine(picture_, labels.eq(id).to(at::kByte) * id);
    ASSERT_EQ(alone.size(), 1u);
    EXPECT_EQ(together[i].id, id);
    EXPECT_TENSORS_CLOSE(together[i].logits, alone[0].logits, 1e-4, 1e-4);
    EXPECT_NEAR(together[i].score, alone[0].score, 1e-5);
  }
}

}  // namespace
}  // namespace hqtrack
