#include "refiner/hq_sam_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/weights/safetensors.h"
#include "core/weights/weights.h"
#include "tests/refiner/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

using testing::tiny_config;
using testing::tiny_network;

std::string error_of(HqSam network, const TensorFile& contents) {
  try {
    load_hq_sam_weights(network, contents, "file.pth");
  } catch (const WeightsError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "";
}

HqSam random_network(const std::string& type, bool hq_branch = true) {
  RefinerConfig config = tiny_config(type);
  config.decoder.hq_branch = hq_branch;
  return HqSam(config);
}

TensorFile without(TensorFile contents, const std::string& part) {
  std::erase_if(contents.tensors,
                [&](const NamedTensor& entry) { return entry.name.find(part) != std::string::npos; });
  return contents;
}

TEST(HqSamWeights, GiveBackTheNetworkTheyWereSavedFrom) {
  const testing::TemporaryFolder folder;
  const at::NoGradGuard guard;
  for (const std::string type : {"vit", "tiny_vit"}) {
    HqSam saved = tiny_network(tiny_config(type)), loaded = random_network(type);
    save_weights(*saved, folder.path() / "refiner.safetensors");
    load_hq_sam_weights(loaded, folder.path() / "refiner.safetensors");
    const at::Tensor image = at::randn({1, 3, 96, 96});
    EXPECT_TENSORS_CLOSE(loaded->decode(loaded->embed_image(image), {}).hq,
                         saved->decode(saved->embed_image(image), {}).hq, 0, 0);
  }
}

TEST(HqSamWeights, MayShareTheTrunkOfATracker) {
  const testing::TemporaryFolder folder;
  const auto tracker_file = folder.path() / "tracker.safetensors",
             file = folder.path() / "refiner.safetensors";
  const HqSam saved = tiny_network(tiny_config("tiny_vit"));
  TensorFile contents = module_weights(*saved), tracker;
  for (const NamedTensor& entry : contents.tensors) {
    if (is_trunk_weight(entry.name)) {
      tracker.tensors.push_back({entry.name.substr(std::string("image_").size()), entry.tensor.clone()});
    }
  }
  write_safetensors(tracker_file, tracker);
  const size_t all = contents.tensors.size();
  share_trunk(contents, tracker_file, "refiner");
  EXPECT_EQ(contents.tensors.size() + tracker.tensors.size(), all);
  write_safetensors(file, contents);
  HqSam loaded = random_network("tiny_vit");
  load_hq_sam_weights(loaded, file);
  const TensorFile found = module_weights(*loaded);
  for (const NamedTensor& entry : module_weights(*saved).tensors) {
    EXPECT_TRUE(found.find(entry.name)->equal(entry.tensor)) << entry.name;
  }

  EXPECT_THROW(share_trunk(contents, tracker_file, "refiner"), WeightsError);  // nothing left to share
  TensorFile other = module_weights(*random_network("tiny_vit"));
  EXPECT_THROW(share_trunk(other, tracker_file, "refiner"), WeightsError);  // other values
  std::filesystem::remove(tracker_file);
  EXPECT_THROW(load_hq_sam_weights(loaded, file), WeightsError);
}

TEST(HqSamWeights, BatchNormGoesIntoTheConvolutionBeforeIt) {
  at::manual_seed(5);
  const at::Tensor conv = at::randn({6, 4, 3, 3}), weight = at::randn({6}), bias = at::randn({6}),
                   mean = at::randn({6}), variance = at::rand({6}) + 0.1;
  const TensorFile folded = fold_batch_norms({{{"a.c.weight", conv},
                                               {"a.bn.weight", weight},
                                               {"a.bn.bias", bias},
                                               {"a.bn.running_mean", mean},
                                               {"a.bn.running_var", variance},
                                               {"a.bn.num_batches_tracked", at::zeros({}, at::kLong)},
                                               {"b.c.weight", conv},
                                               {"norm.weight", weight}},
                                              {}});
  ASSERT_EQ(folded.tensors.size(), 4u);  // `b` has no batch norm, `norm` is none
  const at::Tensor x = at::randn({2, 4, 5, 7});
  const at::Tensor expected =
      at::batch_norm(at::conv2d(x, conv), weight, bias, mean, variance, false, 0, 1e-5, false);
  ASSERT_TRUE(folded.find("a.weight") && folded.find("a.bias"));
  EXPECT_TENSORS_CLOSE(at::conv2d(x, *folded.find("a.weight"), *folded.find("a.bias")), expected, 1e-5, 1e-5);
  EXPECT_TRUE(folded.find("b.c.weight") && folded.find("norm.weight"));
}

TEST(HqSamWeights, ABatchNormThatDoesNotFitIsNamed) {
  TensorFile contents = module_weights(*tiny_network(tiny_config("tiny_vit")));
  for (NamedTensor& entry : contents.tensors) {
    if (entry.name == "image_encoder.patch_embed.seq.0.weight")
      entry.name = "image_encoder.patch_embed.seq.0.c.weight";
  }
  const std::string error = error_of(random_network("tiny_vit"), contents);
  EXPECT_NE(error.find("1 missing: 'image_encoder.patch_embed.seq.0.weight'"), std::string::npos) << error;
  EXPECT_NE(error.find("1 unexpected: 'image_encoder.patch_embed.seq.0.c.weight'"), std::string::npos)
      << error;
}

TEST(HqSamWeights, PlainSamLoadsWithoutTheHqBranchOnly) {
  const TensorFile plain = module_weights(*random_network("vit", false));
  EXPECT_EQ(error_of(random_network("vit", false), plain), "");
  EXPECT_EQ(
      error_of(random_network("vit"), plain),
      "file.pth: expected HQ-SAM vit of width 24 with 3 blocks, found SAM vit of width 24 with 3 blocks");
  EXPECT_EQ(error_of(random_network("vit", false), module_weights(*random_network("vit"))), "");
}

TEST(HqSamWeights, AnotherVariantIsNamed) {
  // What tells a published checkpoint from others; the rest of it is left out here.
  const auto checkpoint = [](int64_t width, int64_t depth, bool is_hq) {
    TensorFile contents;
    contents.tensors.push_back({"image_encoder.neck.0.weight", at::zeros({256, width, 1, 1})});
    contents.tensors.push_back({"image_encoder.pos_embed", at::zeros({1})});
    for (int64_t i = 0; i < depth; ++i) {
      contents.tensors.push_back(
          {"image_encoder.blocks." + std::to_string(i) + ".norm1.weight", at::zeros({1})});
      contents.tensors.push_back(
          {"image_encoder.blocks." + std::to_string(i) + ".norm1.bias", at::zeros({1})});
    }
    if (is_hq) contents.tensors.push_back({"mask_decoder.hf_token.weight", at::zeros({1, 256})});
    return contents;
  };
  const std::string start = "file.pth: expected HQ-SAM tiny_vit of width 24 with 5 blocks, found ";
  HqSam network = random_network("tiny_vit");
  EXPECT_EQ(error_of(network, checkpoint(768, 12, true)), start + "HQ-SAM vit_b");
  EXPECT_EQ(error_of(network, checkpoint(1024, 24, false)), start + "SAM vit_l");
  EXPECT_EQ(error_of(network, checkpoint(1280, 32, true)), start + "HQ-SAM vit_h");
  EXPECT_EQ(error_of(network, checkpoint(96, 4, true)), start + "HQ-SAM vit of width 96 with 4 blocks");
  EXPECT_EQ(error_of(network, {}), start + "another network");
  TensorFile vmos;
  vmos.tensors.push_back({"patch_wise_id_bank.weight", at::zeros({1})});
  EXPECT_EQ(error_of(network, vmos), start + "VMOS, a tracker");
  EXPECT_EQ(error_of(random_network("vit"), module_weights(*random_network("tiny_vit"))),
            "file.pth: expected HQ-SAM vit of width 24 with 3 blocks, found HQ-SAM tiny_vit of width 24 with "
            "5 blocks");
}

TEST(HqSamWeights, MissingAndUnknownTensorsAreNamedAndNothingIsChanged) {
  TensorFile contents = without(module_weights(*tiny_network(tiny_config())), "no_mask_embed");
  contents.tensors.push_back({"image_encoder.head.weight", at::zeros({2})});  // published, never used
  contents.tensors.push_back({"mask_decoder.surprise", at::zeros({2})});
  HqSam network = random_network("vit");
  const at::Tensor before = network->parameters().front().clone();
  const std::string error = error_of(network, contents);
  EXPECT_NE(error.find("1 missing: 'prompt_encoder.no_mask_embed.weight'"), std::string::npos) << error;
  EXPECT_NE(error.find("1 unexpected: 'mask_decoder.surprise'"), std::string::npos) << error;
  EXPECT_TRUE(at::equal(network->parameters().front(), before));
}

}  // namespace
}  // namespace hqtrack
