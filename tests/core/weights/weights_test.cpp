#include "core/weights/weights.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <torch/nn/module.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/weights/safetensors.h"
#include "tests/core/weights/torch_file_writer.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

/// The network of tests/data/weights/make_torch_files.py.
struct Network : torch::nn::Module {
  struct Part : torch::nn::Module {};
  Network() {
    const auto layer = register_module("layer", std::make_shared<Part>());
    const auto norm = register_module("norm", std::make_shared<Part>());
    weight = layer->register_parameter("weight", at::zeros({2, 3}));
    layer->register_parameter("bias", at::zeros({2}));
    norm->register_parameter("weight", at::zeros({2}));
    norm->register_parameter("bias", at::zeros({2}));
    norm->register_buffer("running_mean", at::zeros({2}));
    norm->register_buffer("running_var", at::zeros({2}));
    batches = norm->register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
  }
  at::Tensor weight, batches;
};

TensorFile good_contents() {
  TensorFile contents;
  contents.tensors = {{"layer.weight", at::arange(6, at::kFloat).reshape({2, 3})},
                      {"layer.bias", at::ones({2})},
                      {"norm.weight", at::ones({2})},
                      {"norm.bias", at::ones({2})},
                      {"norm.running_mean", at::ones({2})},
                      {"norm.running_var", at::ones({2})},
                      {"norm.num_batches_tracked", at::full({}, 5, at::kLong)}};
  return contents;
}

at::Tensor& tensor_of(TensorFile& contents, const std::string& name) {
  for (NamedTensor& entry : contents.tensors) {
    if (entry.name == name) return entry.tensor;
  }
  throw std::out_of_range(name);
}

std::string load_error(Network& network, const TensorFile& contents,
                       const std::vector<std::string>& unused = {}) {
  try {
    load_weights(network, contents, "file", unused);
  } catch (const WeightsError& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    for (const auto& item : network.named_parameters())
      EXPECT_EQ(item->abs().sum().item<float>(), 0) << item.key();
    for (const auto& item : network.named_buffers())
      EXPECT_EQ(item->abs().sum().item<float>(), 0) << item.key();
    return e.what();
  }
  ADD_FAILURE() << "loaded without an error";
  return "";
}

fs::path data_file(const char* name) { return testing::repository_root() / "tests/data/weights" / name; }

TEST(LoadWeights, FillsParametersAndBuffers) {
  Network network;
  const void* before = network.weight.data_ptr();
  load_weights(network, good_contents(), "file");
  EXPECT_TRUE(at::equal(network.weight, at::arange(6, at::kFloat).reshape({2, 3})));
  EXPECT_EQ(network.batches.item<int64_t>(), 5);
  EXPECT_EQ(network.weight.data_ptr(), before);
  EXPECT_TRUE(network.weight.requires_grad());
}

TEST(LoadWeights, LoadsCheckpointOfPyTorch) {
  Network network;
  load_weights(network, data_file("checkpoint.pth"));
  EXPECT_EQ(network.weight[1][2].item<float>(), -1.75F);
  EXPECT_EQ(network.batches.item<int64_t>(), 0);
}

TEST(LoadWeights, ConvertsBetweenFloatingPointTypes) {
  TensorFile contents = good_contents();
  for (NamedTensor& entry : contents.tensors) {
    if (entry.tensor.is_floating_point()) entry.tensor = entry.tensor.to(at::kHalf);
  }
  Network network;
  load_weights(network, contents, "file");
  EXPECT_EQ(network.weight.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(network.weight, at::arange(6, at::kFloat).reshape({2, 3})));
}

TEST(LoadWeights, ListsEveryMisfitAndChangesNothing) {
  TensorFile contents = good_contents();
  contents.tensors.erase(contents.tensors.begin() + 1);
  contents.tensors.push_back({"decoder.x", at::ones({1})});
  contents.tensors.push_back({"module.strange", at::ones({1})});
  tensor_of(contents, "norm.bias") = at::ones({3});
  tensor_of(contents, "norm.num_batches_tracked") = at::ones({});
  Network network;
  const std::string message = load_error(network, contents, {"decoder."});
  EXPECT_EQ(message,
            "file: does not fit the network: 1 missing: 'layer.bias'; 1 unexpected: 'module.strange'; "
            "2 of another shape or type: 'norm.bias' (expected Float [2], found Float [3]), "
            "'norm.num_batches_tracked' (expected Long [], found Float [])");
}

TEST(LoadWeights, CutsLongListsWithACount) {
  TensorFile contents = good_contents();
  for (int i = 0; i < 100; ++i) contents.tensors.push_back({"extra." + std::to_string(i), at::ones({1})});
  Network network;
  const std::string message = load_error(network, contents);
  EXPECT_NE(message.find("100 unexpected: 'extra.0', "), std::string::npos) << message;
  EXPECT_NE(message.find(" and 92 more"), std::string::npos) << message;
  EXPECT_LT(message.size(), 400u);
}

TEST(LoadWeights, RefusesNanAndInfinityByName) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    TensorFile contents = good_contents();
    tensor_of(contents, "norm.weight")[1] = bad;
    Network network;
    const std::string message = load_error(network, contents);
    EXPECT_NE(message.find("NaN or infinite values: 'norm.weight'"), std::string::npos) << message;
  }
  // A double that a float cannot hold is infinite once loaded.
  TensorFile contents = good_contents();
  tensor_of(contents, "norm.weight") = at::full({2}, 1e300, at::kDouble);
  Network network;
  EXPECT_NE(load_error(network, contents).find("'norm.weight'"), std::string::npos);
}

TEST(LoadWeights, TakesOffModuleWhereTheNameIsUnknown) {
  TensorFile contents = good_contents();
  contents.tensors[0].name = "module.layer.weight";
  Network network;
  load_weights(network, contents, "file");
  EXPECT_EQ(network.weight[1][2].item<float>(), 5);

  Network other;
  contents.tensors.push_back({"layer.weight", at::ones({2, 3})});
  EXPECT_NE(load_error(other, contents).find("a second time"), std::string::npos);
}

TEST(ReadWeights, ContentsDecideNotTheName) {
  const testing::TemporaryFolder folder;
  write_safetensors(folder.path() / "a.pth", good_contents());
  EXPECT_EQ(read_weights(folder.path() / "a.pth").tensors.size(), 7u);
  fs::copy_file(data_file("checkpoint.pth"), folder.path() / "b.safetensors");
  EXPECT_EQ(read_weights(folder.path() / "b.safetensors").tensors.size(), 7u);
}

TEST(ReadWeights, TakesOffModuleWhenAllNamesHaveIt) {
  const testing::TemporaryFolder folder;
  TensorFile contents = good_contents();
  for (NamedTensor& entry : contents.tensors) entry.name = "module." + entry.name;
  write_safetensors(folder.path() / "a", contents);
  EXPECT_NE(read_weights(folder.path() / "a").find("layer.weight"), nullptr);
}

TEST(ReadWeights, NamesFileAndReasonOfWhatItCannotRead) {
  const testing::TemporaryFolder folder;
  const auto expect_error = [&](const fs::path& file, const std::string& part) {
    try {
      read_weights(file);
      ADD_FAILURE() << "read " << file;
    } catch (const WeightsError& e) {
      EXPECT_EQ(std::string(e.what()).rfind(file.string() + ": ", 0), 0u) << e.what();
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  expect_error(folder.path() / "none.pth", "No such file");
  expect_error(folder.path(), "regular file");
  testing::write_file(folder.path() / "text", "these are not weights at all");
  expect_error(folder.path() / "text", "found neither");
  testing::write_file(folder.path() / "empty", "");
  expect_error(folder.path() / "empty", "found neither");
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  expect_error(folder.path() / "pipe", "regular file");
}

TEST(SaveWeights, GivesBackTheSameModule) {
  const testing::TemporaryFolder folder;
  Network network, again;
  load_weights(network, good_contents(), "file");
  save_weights(network, folder.path() / "half.safetensors", at::kHalf, {{"step", "3"}});
  const TensorFile contents = read_weights(folder.path() / "half.safetensors");
  EXPECT_EQ(contents.find("layer.weight")->scalar_type(), at::kHalf);
  EXPECT_EQ(contents.find("norm.num_batches_tracked")->scalar_type(), at::kLong);
  EXPECT_EQ(contents.metadata.at("step"), "3");
  load_weights(again, folder.path() / "half.safetensors");
  EXPECT_TRUE(at::equal(again.weight, network.weight));
  EXPECT_TRUE(at::equal(again.batches, network.batches));
}

TEST(LoadWeights, LeavesOutWhatMayBeUnusedAndNothingElse) {
  const std::vector<std::string> unused = {"decoder.", "LSTT.decoder_norms.0.gn.",
                                           "encoder.levels.2.downsample."};
  Network network;
  TensorFile contents = good_contents();
  for (const char* name : {"decoder.conv_in.conv.weight", "LSTT.decoder_norms.0.gn.bias",
                           "encoder.levels.2.downsample.norm.1.weight", "module.decoder.conv_out.bias"}) {
    contents.tensors.push_back({name, at::ones({1})});
  }
  EXPECT_NO_THROW(load_weights(network, contents, "file", unused));
  contents.tensors.push_back({"encoder.levels.1.downsample.conv.weight", at::ones({1})});
  EXPECT_THROW(load_weights(network, contents, "file", unused), WeightsError);
}

}  // namespace
}  // namespace hqtrack
