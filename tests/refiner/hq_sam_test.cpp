#include "refiner/hq_sam.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/refiner/tiny_model.h"
#include "tests/support/fewer_bits.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

using testing::tiny_config;
using testing::tiny_network;

// Every kind of prompt at once, for `count` objects.
Prompts mixed_prompts(int64_t count) {
  at::manual_seed(4);
  Prompts prompts;
  prompts.boxes = at::rand({count, 4}) * 96;
  prompts.points = at::rand({count, 3, 2}) * 96;
  prompts.labels = at::tensor({1, 0, -1}, at::kLong).expand({count, 3});
  prompts.masks = at::randn({count, 1, 24, 24});
  return prompts;
}

Prompts one_of(const Prompts& prompts, int64_t i) {
  const auto pick = [&](const at::Tensor& all) { return all.defined() ? all.narrow(0, i, 1) : all; };
  return {pick(prompts.boxes), pick(prompts.points), pick(prompts.labels), pick(prompts.masks)};
}

class HqSamTest : public ::testing::Test {
 protected:
  at::NoGradGuard guard_;
  RefinerConfig config_ = tiny_config();
  HqSam network_ = tiny_network(config_);
  ImageEmbedding image_ = network_->embed_image(at::randn({1, 3, 96, 96}));
};

TEST_F(HqSamTest, PromptsTogetherGiveWhatEachGivesAlone) {
  Prompts boxes;
  boxes.boxes = at::rand({4, 4}) * 96;
  for (const Prompts& prompts : {mixed_prompts(3), boxes}) {
    const RawMasks together = network_->decode(image_, prompts);
    for (int64_t i = 0; i < together.sam.size(0); ++i) {
      const RawMasks alone = network_->decode(image_, one_of(prompts, i));
      EXPECT_TENSORS_CLOSE(together.sam[i], alone.sam[0], 1e-4, 1e-5);
      EXPECT_TENSORS_CLOSE(together.hq[i], alone.hq[0], 1e-4, 1e-5);
      EXPECT_TENSORS_CLOSE(together.predicted_ious[i], alone.predicted_ious[0], 1e-4, 1e-5);
    }
  }
}

// As on a GPU: layers of fewer bits between operators of float32.
TEST(HqSam, WithWeightsOfFewerBitsComputesNearlyTheSame) {
  for (const char* const type : {"vit", "tiny_vit", "efficientnet_lite0"}) {
    RefinerConfig config = tiny_config(type);
    config.encoder.type = type;
    HqSam network = tiny_network(config);
    at::manual_seed(13);
    const at::Tensor input = at::randn({1, 3, 96, 96});
    const auto masks = [&] {
      const c10::InferenceMode guard;
      const RawMasks raw = network->decode(network->embed_image(input), mixed_prompts(3));
      return choose_masks(raw, /*multimask=*/false, /*hq_token_only=*/false).logits.clone();
    };
    const at::Tensor exact = masks();
    testing::hold_in_fewer_bits(*network);
    const at::Tensor found = masks();
    EXPECT_EQ(found.scalar_type(), at::kFloat);
    const double spread = exact.std().item<double>();
    EXPECT_TENSORS_CLOSE(found, exact, 0, 0.2 * spread) << type;
    EXPECT_FALSE(at::allclose(found, exact, 0, 1e-6 * spread));
  }
}

TEST_F(HqSamTest, NoPromptAtAllIsOneQuestion) {
  const RawMasks raw = network_->decode(image_, {});
  EXPECT_EQ(raw.sam.sizes(), at::IntArrayRef({1, 4, 24, 24}));
  EXPECT_EQ(raw.hq.sizes(), at::IntArrayRef({1, 1, 24, 24}));
}

TEST_F(HqSamTest, APointThatIsNoneMayBeAnywhere) {
  Prompts prompts = mixed_prompts(2);
  const RawMasks before = network_->decode(image_, prompts);
  prompts.points = prompts.points.clone();
  prompts.points.select(1, 2) += 10;
  EXPECT_TENSORS_CLOSE(network_->decode(image_, prompts).sam, before.sam, 0, 0);
  prompts.points.select(1, 1) += 10;  // this one is beside the object
  EXPECT_FALSE(at::allclose(network_->decode(image_, prompts).sam, before.sam));
}

TEST_F(HqSamTest, RejectsPromptsThatDoNotFitTogether) {
  Prompts prompts = mixed_prompts(3);
  prompts.boxes = prompts.boxes.narrow(0, 0, 2);
  EXPECT_THROW(network_->decode(image_, prompts), c10::Error);
  prompts = mixed_prompts(3);
  prompts.masks = prompts.masks.narrow(0, 0, 1);
  EXPECT_THROW(network_->decode(image_, prompts), c10::Error);
  prompts = mixed_prompts(3);
  prompts.labels = prompts.labels.narrow(1, 0, 2);
  EXPECT_THROW(network_->decode(image_, prompts), c10::Error);
}

TEST(HqSam, WithoutTheHqBranchItsSamMasksAreTheSame) {
  const at::NoGradGuard guard;
  RefinerConfig config = tiny_config();
  HqSam plain_of_other_tokens = tiny_network(config);
  config.decoder.hq_branch = false;
  HqSam plain = tiny_network(config);
  const at::Tensor input = at::randn({1, 3, 96, 96});
  const ImageEmbedding image = plain->embed_image(input);
  EXPECT_FALSE(image.hq_features.defined());
  const RawMasks raw = plain->decode(image, mixed_prompts(2));
  EXPECT_FALSE(raw.hq.defined());
  EXPECT_TENSORS_CLOSE(choose_masks(raw, false, false).logits, raw.sam.narrow(1, 0, 1), 0, 0);
  EXPECT_THROW(choose_masks(raw, false, true), c10::Error);
  // The HQ token takes part in the attention of the tokens, so that SAM's masks are not quite those of SAM.
  const ImageEmbedding with_hq = plain_of_other_tokens->embed_image(input);
  EXPECT_TENSORS_CLOSE(with_hq.embedding, image.embedding, 0, 0);
  EXPECT_FALSE(
      at::allclose(plain_of_other_tokens->decode(with_hq, mixed_prompts(2)).sam, raw.sam, 1e-6, 1e-6));
}

TEST(HqSam, EveryParameterTakesPartInTraining) {
  for (const std::string type : {"vit", "tiny_vit"}) {
    HqSam network = tiny_network(tiny_config(type));
    const ImageEmbedding image = network->embed_image(at::randn({1, 3, 96, 96}));
    Prompts points = mixed_prompts(2);
    points.masks = at::Tensor();
    for (const Prompts& prompts : {mixed_prompts(2), points}) {
      const RawMasks raw = network->decode(image, prompts);
      (raw.sam.square().sum() + raw.hq.square().sum() + raw.predicted_ious.square().sum())
          .backward({}, /*retain_graph=*/true);
    }
    for (const auto& parameter : network->named_parameters()) {
      EXPECT_TRUE(parameter.value().grad().defined() &&
                  parameter.value().grad().abs().max().item<double>() > 0)
          << type << " " << parameter.key();
    }
  }
}

TEST(ChooseMasks, TakesTheBestOfThreeOrTheFirst) {
  RawMasks raw;
  raw.sam = at::arange(8, at::kFloat).view({2, 4, 1, 1});
  raw.predicted_ious = at::tensor({9.0f, 0.1f, 0.7f, 0.2f, 0.5f, -3.0f, -2.0f, -1.0f}).view({2, 4});
  raw.hq = at::tensor({100.0f, 200.0f}).view({2, 1, 1, 1});
  const auto values = [](const at::Tensor& t) {
    const at::Tensor flat = t.flatten().contiguous();
    return std::vector<float>(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
  };
  ChosenMasks chosen = choose_masks(raw, true, false);
  EXPECT_EQ(values(chosen.logits), (std::vector<float>{102, 207}));
  EXPECT_EQ(values(chosen.scores), (std::vector<float>{0.7f, -1.0f}));
  chosen = choose_masks(raw, false, false);
  EXPECT_EQ(values(chosen.logits), (std::vector<float>{100, 204}));
  EXPECT_EQ(values(chosen.scores), (std::vector<float>{9.0f, 0.5f}));
  chosen = choose_masks(raw, true, true);
  EXPECT_EQ(values(chosen.logits), (std::vector<float>{100, 200}));
  EXPECT_EQ(values(chosen.scores), (std::vector<float>{0.7f, -1.0f}));
}

TEST(PromptEncoder, TheDenseCodeIsThatOfPointsInTheMiddleOfCells) {
  const at::NoGradGuard guard;
  const RefinerConfig config = tiny_config();
  PromptEncoder encoder(config.decoder.width, config.image_size);
  const at::Tensor dense = encoder->dense_code({2, 5});
  Prompts prompts;  // a box adds half a pixel and an embedding of its corner
  prompts.boxes = at::tensor({4 * 16 + 7.5f, 1 * 16 + 7.5f, 0 * 16 + 7.5f, 0 * 16 + 7.5f}).view({1, 4});
  const at::Tensor corners = encoder->forward(prompts).sparse[0];
  const auto parameters = encoder->named_parameters();
  EXPECT_TENSORS_CLOSE(corners[0] - parameters["point_embeddings.2.weight"][0],
                       dense.select(2, 1).select(2, 4)[0], 1e-4, 1e-4);
  EXPECT_TENSORS_CLOSE(corners[1] - parameters["point_embeddings.3.weight"][0],
                       dense.select(2, 0).select(2, 0)[0], 1e-4, 1e-4);
}

TEST(HqSam, SaysWhichSizeDoesNotFit) {
  RefinerConfig config = tiny_config();
  config.decoder.heads = 3;
  EXPECT_THROW(HqSam{config}, ConfigError);
  config = tiny_config();
  config.decoder.width = 40;
  EXPECT_THROW(HqSam{config}, ConfigError);
}

}  // namespace
}  // namespace hqtrack
