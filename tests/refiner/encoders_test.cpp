#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "refiner/encoders/efficientnet_image_encoder.h"
#include "refiner/encoders/tiny_vit_encoder.h"
#include "refiner/encoders/vit_encoder.h"
#include "tests/refiner/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

using testing::tiny_config;
using testing::tiny_network;

// The formula with every score, query by query and key by key.
at::Tensor plain_attention_with_positions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                          const at::Tensor& rows, const at::Tensor& columns, double scale) {
  const int64_t batch = q.size(0), n = q.size(1), d = q.size(3), cells = n * n;
  const auto tokens = [&](const at::Tensor& x) { return x.reshape({batch, cells, d}); };
  at::Tensor scores = scale * at::bmm(tokens(q), tokens(k).transpose(1, 2));
  for (int64_t a = 0; a < cells; ++a) {
    for (int64_t b = 0; b < cells; ++b) {
      const at::Tensor position = rows[a / n - b / n + n - 1] + columns[a % n - b % n + n - 1];
      scores.select(1, a).select(1, b) += at::matmul(tokens(q).select(1, a), position);
    }
  }
  return at::bmm(at::softmax(scores, -1), tokens(v)).view(q.sizes());
}

TEST(AttentionWithPositions, EqualsThePlainFormula) {
  at::manual_seed(2);
  const at::NoGradGuard guard;
  for (const int64_t n : {1, 3, 6}) {
    for (const int64_t d : {4, 9}) {
      const auto random = [&] { return at::randn({5, n, n, d}); };
      const at::Tensor q = random(), k = random(), v = random();
      const at::Tensor rows = at::randn({2 * n - 1, d}), columns = at::randn({2 * n - 1, d});
      EXPECT_TENSORS_CLOSE(attend_with_positions(q, k, v, rows, columns, 1 / std::sqrt(d)),
                           plain_attention_with_positions(q, k, v, rows, columns, 1 / std::sqrt(d)), 1e-5,
                           2e-5)
          << n << " x " << n << " cells, " << d << " channels";
    }
  }
}

TEST(VitBlock, AWindowAsLargeAsTheGridIsGlobal) {
  const at::NoGradGuard guard;
  at::manual_seed(3);
  const at::Tensor x = at::randn({2, 6, 6, 8});
  // Without positions a global block treats all cells alike: moving them moves its output. A windowed one
  // does not.
  for (const auto& [window, is_equal] : {std::pair<int64_t, bool>{6, true}, {4, false}}) {
    VitBlock block(8, 2, window, "");
    const at::Tensor moved = block(x.roll(1, 1)).roll(-1, 1);
    EXPECT_EQ(at::allclose(moved, block(x), 1e-5, 1e-5), is_equal) << window;
  }
}

class Encoders : public ::testing::TestWithParam<std::string> {};

TEST_P(Encoders, GiveFeaturesAtStride16) {
  const at::NoGradGuard guard;
  const RefinerConfig config = tiny_config(GetParam());
  const auto encoder = make_image_encoder(config);
  const ImageFeatures features = encoder->encode(at::randn({2, 3, 96, 96}));
  EXPECT_EQ(features.embedding.sizes(), at::IntArrayRef({2, 32, 6, 6}));
  EXPECT_EQ(features.early.sizes(), at::IntArrayRef({2, encoder->early_channels(), 6, 6}));
  EXPECT_THROW(encoder->encode(at::randn({1, 3, 100, 96})), c10::Error);
}

TEST_P(Encoders, InferenceEqualsTraining) {
  HqSam network = tiny_network(tiny_config(GetParam()));
  const at::Tensor image = at::randn({2, 3, 96, 96});
  const ImageEmbedding trained = network->embed_image(image);
  const at::NoGradGuard guard;
  const ImageEmbedding inferred = network->embed_image(image);
  EXPECT_TRUE(trained.embedding.requires_grad());
  EXPECT_TENSORS_CLOSE(inferred.embedding, trained.embedding, 1e-4, 1e-5);
  EXPECT_TENSORS_CLOSE(inferred.hq_features, trained.hq_features, 1e-4, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Refiner, Encoders, ::testing::Values("vit", "tiny_vit"));

TEST(TinyVit, BiasesAreReadWhenTheyAreUsed) {
  const at::NoGradGuard guard;
  TinyVitBlock block(8, 2, 3, "");
  const at::Tensor x = at::randn({1, 6, 6, 8}), before = block(x);
  block->named_parameters()["attn.attention_biases"].normal_();
  EXPECT_GT((block(x) - before).abs().max().item<double>(), 1e-3);
}

TEST(ImageEncoder, SaysWhichSizeDoesNotFit) {
  const auto error_of = [](const RefinerConfig& config) -> std::string {
    try {
      make_image_encoder(config);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  RefinerConfig config = tiny_config();
  config.encoder.heads = {5};
  EXPECT_EQ(error_of(config), "refiner.encoder.heads: expected a divisor of the width 24, found 5");
  config = tiny_config();
  config.encoder.global_blocks = {1, 3};
  EXPECT_EQ(error_of(config), "refiner.encoder.global_blocks: expected blocks from 0 to 2, found 3");
  config.encoder.global_blocks = {};
  EXPECT_EQ(error_of(config), "refiner.encoder.global_blocks: expected blocks from 0 to 2, found none");
  config = tiny_config("tiny_vit");
  config.encoder.windows = {7};
  EXPECT_EQ(error_of(config), "refiner.encoder.windows: expected 4 numbers for tiny_vit, found 1");
  config.encoder.type = "resnet";
  EXPECT_EQ(error_of(config),
            "refiner.encoder.type: expected vit, tiny_vit or efficientnet_lite0, found 'resnet'");
}

TEST(EfficientNetImageEncoder, EarlyFeaturesAreTheFineMapsCellByCell) {
  at::manual_seed(6);
  const at::NoGradGuard guard;
  RefinerConfig config = tiny_config();
  config.encoder.type = "efficientnet_lite0";
  EfficientNetImageEncoder encoder(config);
  torch::nn::Module trunk_module;
  EfficientNetLite0 trunk(trunk_module);
  const auto weights = encoder.named_parameters();
  for (auto& each : trunk_module.named_parameters()) each.value().copy_(weights[each.key()]);
  const at::Tensor image = at::randn({1, 3, 48, 80});
  const ImageFeatures features = encoder.encode(image);
  const auto maps = trunk.forward(image);
  EXPECT_EQ(features.embedding.sizes(), at::IntArrayRef({1, 32, 3, 5}));
  ASSERT_EQ(features.early.sizes(), at::IntArrayRef({1, encoder.early_channels(), 3, 5}));
  for (const auto& [channel, y, x] : {std::array<int64_t, 3>{0, 0, 0}, {7, 1, 3}, {23, 2, 4}}) {
    for (int64_t dy = 0; dy < 4; ++dy) {
      for (int64_t dx = 0; dx < 4; ++dx) {
        EXPECT_EQ(features.early[0][channel * 16 + dy * 4 + dx][y][x].item<float>(),
                  maps.stride_4[0][channel][4 * y + dy][4 * x + dx].item<float>());
      }
    }
    EXPECT_EQ(features.early[0][24 * 16 + channel * 4 + 3][y][x].item<float>(),
              maps.stride_8[0][channel][2 * y + 1][2 * x + 1].item<float>());
  }
}

}  // namespace
}  // namespace hqtrack
