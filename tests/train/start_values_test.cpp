#include "train/start_values.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/train/tiny_network.h"
#include "train/clip_batch.h"
#include "train/frame_features.h"
#include "train/losses.h"

namespace hqtrack {
namespace {

at::Tensor tiny_images(const Config& config) {
  const testing::TinyClips clips(config.train.clip_frames);
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < 12; ++i) images.push_back(clips.example(i).images);
  return normalize_images(at::cat(images), config.tracker.preprocess);
}

/// Share of the cells that the attentions at 16x give their right label when a frame looks at itself.
double share_of_right_cells(Vmos& network, const Config& config) {
  const at::NoGradGuard no_gradients;
  const testing::TinyClips clips(config.train.clip_frames);
  Random random(1, 1);
  const ClipBatch batch = make_batch({clips.example(20), clips.example(21), clips.example(22)},
                                     config.tracker.objects_per_engine, random);
  const Features features = network->encode(normalize_images(batch.images[0], config.tracker.preprocess));
  const at::Tensor one_hot = one_hot_labels(batch.labels[0], 1 + network->objects_per_engine());
  auto memory = network->reference(features, network->embed_identity(one_hot));
  const at::Tensor truth = label_shares(one_hot, 16);
  for (MemoryFrame& frame : memory) frame.labels = truth;
  memory.back().labels = label_shares(one_hot, 8);
  const VmosImpl::Step step = network->propagate(features, memory, memory);
  double right = 0;
  for (const at::Tensor& carried : step.labels_16x) {
    right += carried.argmax(-1).eq(truth.argmax(-1)).to(at::kDouble).mean().item<double>();
  }
  return right / static_cast<double>(step.labels_16x.size());
}

TEST(StartValues, LikeFindsLikeBeforeTheFirstStep) {
  const Config config = testing::tiny_config();
  torch::manual_seed(3);
  Vmos network(config.tracker);
  const double by_chance = share_of_right_cells(network, config);
  set_start_values(network, config.tracker, tiny_images(config));
  const double now = share_of_right_cells(network, config);
  EXPECT_GT(now, by_chance + 0.1);
  EXPECT_GT(now, 0.9);
}

TEST(StartValues, ProjectedFeaturesAreCentredAndDoNotCorrelate) {
  const Config config = testing::tiny_config();
  torch::manual_seed(4);
  Vmos network(config.tracker);
  const at::Tensor images = tiny_images(config);
  set_start_values(network, config.tracker, images);
  const at::NoGradGuard no_gradients;
  const at::Tensor projected =
      network->encode(images).stride_16.permute({0, 2, 3, 1}).flatten(0, 2).to(at::kDouble);
  const at::Tensor centred = projected - projected.mean(0);
  EXPECT_LT(projected.mean(0).abs().max().item<double>(), 1e-3);
  EXPECT_NEAR(projected.square().mean().item<double>(), 1, 1e-3);
  const at::Tensor covariance = centred.t().mm(centred) / static_cast<double>(centred.size(0));
  const at::Tensor variances = covariance.diagonal();
  const at::Tensor others = covariance - variances.diag();
  EXPECT_LT(others.abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(variances.slice(0, 0, -1).ge(variances.slice(0, 1) - 1e-6).all().item<bool>()) << "not sorted";
}

TEST(StartValues, AnIdentityLeavesTheAttentionAsItCameIn) {
  const Config config = testing::tiny_config();
  torch::manual_seed(5);
  Vmos network(config.tracker);
  set_start_values(network, config.tracker, tiny_images(config));
  const at::NoGradGuard no_gradients;
  const auto parameters = network->named_parameters();
  const std::string block = "LSTT.layers.0.";
  const int64_t d = config.tracker.propagation_16x.width;
  const at::Tensor identity = at::randn({50, d});
  const at::Tensor values = at::silu(
      at::linear(identity, parameters[block + "linear_ID_V.weight"], parameters[block + "linear_ID_V.bias"]));
  const at::Tensor out = at::linear(at::cat({at::zeros({50, 2 * d}), values}, 1),
                                    parameters[block + "long_term_attn.projection.weight"],
                                    parameters[block + "long_term_attn.projection.bias"])
                             .narrow(1, d, d);
  const double cosine = (out * identity).sum().item<double>() / (out.norm() * identity.norm()).item<double>();
  EXPECT_GT(cosine, 0.9);
}

}  // namespace
}  // namespace hqtrack
