#include "tracker/vmos.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/fewer_bits.h"
#include "tests/support/golden.h"
#include "tests/tracker/tiny_model.h"
#include "tracker/preprocess.h"

namespace hqtrack {
namespace {

using testing::disc_labels;
using testing::hold_in_fewer_bits;
using testing::moving_discs;
using testing::tiny_config;
using testing::tiny_network;

at::Tensor one_hot_map(const at::Tensor& slots, int64_t classes) {
  return at::one_hot(slots.to(at::kLong), classes).permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);
}

TEST(IdentityBank, WalkOverLabelsEqualsTheConvolution) {
  Vmos network = tiny_network();
  for (const GridSize size : {GridSize{17, 17}, GridSize{33, 65}, GridSize{49, 81}}) {
    const at::Tensor slots = at::randint(0, 4, {size.height, size.width}, at::kByte);
    const IdentityEmbedding walked = network->embed_identity_labels(slots);
    const IdentityEmbedding convolved = network->embed_identity(one_hot_map(slots, 4));
    EXPECT_TENSORS_CLOSE(walked.stride_16, convolved.stride_16, 1e-5, 2e-5);
    EXPECT_TENSORS_CLOSE(walked.stride_8, convolved.stride_8, 1e-5, 2e-5);
  }
}

TEST(Vmos, BatchGivesWhatSinglesGive) {
  const TrackerConfig config = tiny_config();
  Vmos network = tiny_network();
  c10::InferenceMode guard;
  const GridSize size = network_size({60, 80}, config.preprocess);
  std::vector<at::Tensor> images, masks;
  for (int t = 0; t < 2; ++t) {
    images.push_back(normalize(resize_bicubic(moving_discs(5 * t), size), config.preprocess));
    masks.push_back(one_hot_map(at::randint(0, 4, {size.height, size.width}, at::kByte), 4));
  }
  const auto step_of = [&](const at::Tensor& image, const at::Tensor& mask) {
    const Features features = network->encode(image);
    const auto memory = network->reference(features, network->embed_identity(mask));
    return network->propagate(features, memory, memory).logits;
  };
  const at::Tensor together = step_of(at::cat(images), at::cat(masks));
  for (int t = 0; t < 2; ++t) EXPECT_TENSORS_CLOSE(together[t], step_of(images[t], masks[t])[0], 1e-4, 1e-4);
}

// As on a GPU: layers of fewer bits between operators of float32.
TEST(Vmos, WithWeightsOfFewerBitsComputesNearlyTheSame) {
  for (const bool is_intern : {true, false}) {
    TrackerConfig config = tiny_config();
    if (!is_intern) config.encoder.type = "efficientnet_lite0";
    Vmos network = tiny_network(config);
    at::manual_seed(12);
    const at::Tensor image = at::randn({1, 3, 49, 65}),
                     labels = one_hot_map(at::randint(0, 4, {49, 65}, at::kByte), 4);
    const auto step = [&] {
      const c10::InferenceMode guard;
      const Features features = network->encode(image);
      const IdentityEmbedding embedding = network->embed_identity(labels);
      const auto memory = network->reference(features, embedding);
      const VmosImpl::Step step = network->propagate(features, memory, memory);
      EXPECT_EQ(network->memorize(step.states, embedding).back().value.scalar_type(), at::kFloat);
      return step.logits.clone();
    };
    const at::Tensor exact = step();
    hold_in_fewer_bits(*network);
    const at::Tensor found = step();
    EXPECT_EQ(found.scalar_type(), at::kFloat);
    const double spread = exact.std().item<double>();
    EXPECT_TENSORS_CLOSE(found, exact, 0, 0.2 * spread) << config.encoder.type;
    EXPECT_FALSE(at::allclose(found, exact, 0, 1e-6 * spread));
  }
}

// The mean of the cells of a square that are on the map, cell by cell.
at::Tensor plain_means(const at::Tensor& tokens, GridSize grid, int64_t side) {
  std::vector<at::Tensor> means;
  for (int64_t y = 0; y < grid.height; y += side) {
    for (int64_t x = 0; x < grid.width; x += side) {
      const at::Tensor square =
          to_map(tokens, grid).slice(2, y, y + side).slice(3, x, x + side).flatten(2);  // ends at the edge
      means.push_back(square.mean(2));
    }
  }
  return at::stack(means, 1);
}

TEST(SelfPropagation, MayLookAtMeansOfCells) {
  at::manual_seed(9);
  const at::NoGradGuard guard;
  const GridSize grid{5, 7};
  const int64_t width = 8, key_width = 4;
  const at::Tensor visual = at::randn({2, grid.area(), width}), identity = at::randn({2, grid.area(), width});
  for (const int64_t pool : {1, 2, 3}) {
    SelfPropagation layer(width, key_width, pool);
    layer->eval();
    const at::Tensor query = layer->linear_QK(at::cat({visual, identity}, -1)) * 5;
    layer->linear_QK->weight.mul_(5);
    layer->linear_QK->bias.mul_(5);
    const at::Tensor value = at::silu(at::cat({layer->linear_V1(visual), layer->linear_V2(identity)}, -1)),
                     gate = at::silu(at::cat({layer->linear_U1(visual), layer->linear_U2(identity)}, -1));
    const at::Tensor keys = plain_means(query, grid, pool), values = plain_means(value, grid, pool);
    const at::Tensor map = at::softmax(at::bmm(query, keys.transpose(1, 2)) / 2, -1);  // sqrt(key_width)
    const at::Tensor mixed = to_map(at::bmm(map, values) * gate, grid);
    const at::Tensor expected =
        layer->projection(to_tokens(at::conv2d(mixed, layer->depthwise->weight, {}, 1, 2, 1, 4 * width)));
    EXPECT_LT((layer(visual, identity, grid) - expected).abs().max().item<double>(), 1e-5) << pool;
  }
}

TEST(Vmos, EveryParameterTakesPartInTraining) {
  const TrackerConfig config = tiny_config();
  Vmos network = tiny_network();
  network->train();
  const GridSize size = network_size({60, 80}, config.preprocess);
  const auto image_at = [&](int64_t t) {
    return normalize(resize_bicubic(moving_discs(t), size), config.preprocess);
  };
  const auto embedding =
      network->embed_identity(one_hot_map(at::randint(0, 4, {size.height, size.width}, at::kByte), 4));
  const auto memory = network->reference(network->encode(image_at(0)), embedding);
  const auto step = network->propagate(network->encode(image_at(1)), memory, memory);
  const auto written = network->memorize(step.states, embedding);
  network->propagate(network->encode(image_at(2)), memory, written).logits.square().sum().backward();
  for (const auto& parameter : network->named_parameters()) {
    EXPECT_TRUE(parameter.value().grad().defined() && parameter.value().grad().abs().max().item<double>() > 0)
        << parameter.key();
  }
}

TEST(Vmos, LabelsCarriedByTheAttentionMapsSumToOne) {
  Vmos network = tiny_network();
  const TrackerConfig config = tiny_config();
  const GridSize size = network_size({60, 80}, config.preprocess);
  const Features features =
      network->encode(normalize(resize_bicubic(moving_discs(0), size), config.preprocess));
  const auto embedding =
      network->embed_identity(one_hot_map(at::zeros({size.height, size.width}, at::kByte), 4));
  auto memory = network->reference(features, embedding);
  for (MemoryFrame& frame : memory) frame.labels = at::softmax(at::randn({1, frame.key.size(1), 4}), -1);
  const auto step = network->propagate(features, memory, memory);
  ASSERT_EQ(step.labels_16x.size(), 4u);  // two blocks, long and short
  ASSERT_EQ(step.labels_8x.size(), 2u);
  for (const at::Tensor& carried : step.labels_8x) {
    EXPECT_TENSORS_CLOSE(carried.sum(-1), at::ones({1, carried.size(1)}), 0, 1e-5);
  }
}

TEST(Vmos, SaysWhichSizeDoesNotFit) {
  TrackerConfig config = tiny_config();
  config.width_4x = 12;
  EXPECT_THROW(Vmos{config}, ConfigError);
  config = tiny_config();
  config.encoder.groups = {3, 2, 4, 4};
  EXPECT_THROW(Vmos{config}, ConfigError);
  EXPECT_THROW(tiny_network()->encode(at::zeros({1, 3, 48, 49})), c10::Error);
}

TEST(Preprocess, SizesAreSixteenKPlusOneAndWithinTheLongEdge) {
  PreprocessConfig config;
  for (const GridSize in :
       {GridSize{1, 1}, GridSize{1, 1000}, GridSize{2, 4000}, GridSize{97, 131}, GridSize{2160, 3840}}) {
    const GridSize out = network_size(in, config);
    EXPECT_EQ(out.height % 16, 1);
    EXPECT_EQ(out.width % 16, 1);
    EXPECT_LE(std::max(out.height, out.width), 1041);
    EXPECT_GE(std::min(out.height, out.width), 17);
  }
}

TEST(Preprocess, ResizeKeepsAConstantPictureAndItsOwnSize) {
  const at::Tensor grey = at::full({37, 53, 3}, 201, at::kByte);
  EXPECT_TRUE(at::equal(resize_bicubic(grey, {65, 97}), at::full({65, 97, 3}, 201, at::kByte)));
  EXPECT_TRUE(at::equal(resize_bicubic(grey, {17, 17}), at::full({17, 17, 3}, 201, at::kByte)));
  const at::Tensor noise = at::randint(0, 256, {33, 49, 3}, at::kByte);
  EXPECT_TRUE(at::equal(resize_bicubic(noise, {33, 49}), noise));
}

}  // namespace
}  // namespace hqtrack
