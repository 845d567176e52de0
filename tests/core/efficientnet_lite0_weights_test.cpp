#include "core/efficientnet_lite0_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include "core/efficientnet_lite0.h"
#include "core/error.h"
#include "core/weights/weights.h"

namespace hqtrack {
namespace {

struct Encoder : torch::nn::Module {
  EfficientNetLite0 network{*this};
};
struct Network : torch::nn::Module {
  Network() { register_module("encoder", encoder); }
  std::shared_ptr<Encoder> encoder = std::make_shared<Encoder>();
};

std::string published_name(const std::string& name) {  // of a convolution: "blocks.3.dw" ...
  if (name == "stem") return "_conv_stem";
  const size_t dot = name.rfind('.');
  const std::string part = name.substr(dot + 1);
  return "_" + name.substr(0, dot + 1) +
         (part == "expand" ? "_expand_conv"
          : part == "dw"   ? "_depthwise_conv"
                           : "_project_conv");
}

std::string norm_of(const std::string& published) {
  if (published == "_conv_stem") return "_bn0";
  const std::string block = published.substr(0, published.rfind('.') + 1);
  return block + (published.ends_with("_expand_conv")      ? "_bn0"
                  : published.ends_with("_depthwise_conv") ? "_bn1"
                                                           : "_bn2");
}

/// Random weights with the names and shapes of the published file, its classifier included.
TensorFile published_weights() {
  TensorFile contents;
  const auto add = [&](const std::string& name, const at::Tensor& values) {
    contents.tensors.push_back({name, values});
  };
  for (const auto& item : Network().encoder->named_parameters()) {
    if (!item.key().ends_with(".weight")) continue;
    const std::string conv = published_name(item.key().substr(0, item.key().size() - 7)),
                      norm = norm_of(conv);
    const int64_t width = item.value().size(0);
    add(conv + ".weight", at::randn(item.value().sizes()));
    add(norm + ".weight", at::rand({width}) + 0.5);
    add(norm + ".bias", at::randn({width}));
    add(norm + ".running_mean", at::randn({width}));
    add(norm + ".running_var", at::rand({width}) + 0.1);
  }
  add("_blocks.11._depthwise_conv.weight", at::randn({672, 1, 5, 5}));
  add("_fc.weight", at::randn({1000, 1280}));
  return contents;
}

TEST(EfficientNetLite0Weights, FoldedConvolutionsDoWhatConvolutionAndNormDid) {
  const at::NoGradGuard no_gradients;
  const TensorFile published = published_weights();
  ASSERT_TRUE(is_published_efficientnet_lite0(published));
  Network network;
  load_weights(network, fold_efficientnet_lite0(published, "file"), "file");
  int64_t checked = 0;
  for (const auto& item : network.encoder->named_parameters()) {
    if (!item.key().ends_with(".weight")) continue;
    const std::string name = item.key().substr(0, item.key().size() - 7);
    const at::Tensor weight = item.value();
    const at::Tensor bias = network.encoder->named_parameters()[name + ".bias"];
    const bool is_depthwise = name.ends_with(".dw");
    const int64_t groups = is_depthwise ? weight.size(0) : 1;
    const at::Tensor x = at::randn({1, weight.size(1) * groups, 9, 9});
    const std::string conv = published_name(name), norm = norm_of(conv);
    const at::Tensor expected =
        at::batch_norm(at::conv2d(x, *published.find(conv + ".weight"), std::nullopt, at::IntArrayRef{1, 1},
                                  at::IntArrayRef{0, 0}, at::IntArrayRef{1, 1}, groups),
                       *published.find(norm + ".weight"), *published.find(norm + ".bias"),
                       *published.find(norm + ".running_mean"), *published.find(norm + ".running_var"), false,
                       0, 1e-3, false);
    const at::Tensor found = at::conv2d(x, weight, bias, at::IntArrayRef{1, 1}, at::IntArrayRef{0, 0},
                                        at::IntArrayRef{1, 1}, groups);
    EXPECT_LT((found - expected).abs().max().item<float>(), 1e-3 * expected.abs().max().item<float>())
        << name;
    ++checked;
  }
  EXPECT_EQ(checked, 1 + 2 + 10 * 3);
}

TEST(EfficientNetLite0Weights, SaysWhatIsMissingOrUnfit) {
  const auto message = [](const TensorFile& contents) -> std::string {
    try {
      fold_efficientnet_lite0(contents, "file");
    } catch (const WeightsError& error) {
      return error.what();
    }
    return "no error";
  };
  TensorFile contents = published_weights();
  const auto entry = std::ranges::find(contents.tensors, "_blocks.4._bn1.running_var", &NamedTensor::name);
  entry->tensor = at::rand({3});
  EXPECT_EQ(message(contents),
            "file: '_blocks.4._bn1.running_var': expected 240 values, found another shape");
  contents.tensors.erase(entry);
  EXPECT_EQ(message(contents), "file: expected EfficientNet-Lite0, '_blocks.4._bn1.running_var' is missing");
  EXPECT_FALSE(is_published_efficientnet_lite0({}));
}

}  // namespace
}  // namespace hqtrack
