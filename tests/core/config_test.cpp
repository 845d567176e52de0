#include "core/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

class ConfigFile : public ::testing::Test {
 protected:
  Config load(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    std::ofstream(path_) << yaml;
    return load_config(path_, overrides);
  }

  /// The message, without the folder in front.
  std::string error_of(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    try {
      load(yaml, overrides);
    } catch (const ConfigError& e) {
      const std::string message = e.what(), folder = folder_.path().string() + "/";
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      return message.rfind(folder, 0) == 0 ? message.substr(folder.size()) : message;
    }
    ADD_FAILURE() << "read without an error: " << yaml;
    return "";
  }

  testing::TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "a.yaml";
};

TEST_F(ConfigFile, KeepsDefaultsOfKeysLeftOut) {
  const Config config = load("tracker:\n  memory: {interval_frames: 7}\noverlay:\n");
  EXPECT_EQ(config.file, path_);
  EXPECT_EQ(config.tracker.memory.interval_frames, 7);
  EXPECT_EQ(config.tracker.memory.long_term_frames, MemoryConfig{}.long_term_frames);
  EXPECT_EQ(config.overlay.mask_opacity, OverlayConfig{}.mask_opacity);
  EXPECT_EQ(config.tracker.weights, "");
  EXPECT_EQ(load("").tracker.encoder.type, "internimage");
  EXPECT_EQ(load("# only words\n").train.seed, 1);
}

TEST_F(ConfigFile, AVariantSetsAllSizesBeforeSingleKeysDo) {
  const RefinerEncoderConfig tiny = load("refiner: {variant: vit_tiny}\n").refiner.encoder;
  EXPECT_EQ(tiny.type, "tiny_vit");
  EXPECT_EQ(tiny.depths, (std::vector<int64_t>{2, 2, 6, 2}));
  const RefinerEncoderConfig changed =
      load("refiner:\n  encoder: {depths: [6], global_blocks: [2, 5]}\n  variant: vit_b\n").refiner.encoder;
  EXPECT_EQ(changed.widths, (std::vector<int64_t>{768}));
  EXPECT_EQ(changed.depths, (std::vector<int64_t>{6}));
  EXPECT_EQ(changed.global_blocks, (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(load("refiner: {variant: vit_b}\n", {"refiner.variant=vit_l"}).refiner.encoder.widths,
            (std::vector<int64_t>{1024}));
  EXPECT_EQ(error_of("refiner: {variant: vit_x}\n"),
            "a.yaml:1: refiner.variant: expected one of vit_b, vit_l, vit_h, vit_tiny, found 'vit_x'");
  EXPECT_EQ(error_of("refiner: {hq_token_only: true, decoder: {hq_branch: false}}\n"),
            "a.yaml: refiner.hq_token_only: expected false without refiner.decoder.hq_branch, found true");
}

TEST_F(ConfigFile, SaysWhichFramesAreRefined) {
  EXPECT_EQ(load("").refiner.every_frames, 0);
  EXPECT_EQ(load("refine: off\n").refiner.every_frames, 0);
  EXPECT_EQ(load("refine: always\n").refiner.every_frames, 1);
  EXPECT_EQ(load("refine: off\n", {"refine=every:12"}).refiner.every_frames, 12);
  EXPECT_FALSE(load("refine: always\n").refiner.is_adaptive);
  EXPECT_TRUE(load("refine: adaptive\n").refiner.is_adaptive);
  EXPECT_EQ(load("refine: adaptive\n").refiner.every_frames, 1);
  EXPECT_FALSE(load("refine: adaptive\n", {"refine=every:2"}).refiner.is_adaptive);
  for (const std::string wrong : {"every:0", "every:-1", "every:", "every:2x", "every", "sometimes", "3"}) {
    EXPECT_EQ(
        error_of("refine: " + (wrong.ends_with(":") ? "'" + wrong + "'" : wrong) + "\n"),
        "a.yaml:1: refine: expected off, always, adaptive or every:N with N above 0, found '" + wrong + "'");
  }
}

TEST_F(ConfigFile, ReadsEveryKindOfValue) {
  const Config config = load(
      "tracker:\n"
      "  encoder: {type: efficientnet_lite0, depths: [1, 2, 3, 4]}\n"
      "  preprocess:\n    mean: [0.5, 0, 1]\n"
      "overlay: {draw_labels: false, mask_opacity: 1}\n"
      "encode: {codec: libx265}\n"
      "train: {learning_rate: 5e-4}\n");
  EXPECT_EQ(config.tracker.encoder.type, "efficientnet_lite0");
  EXPECT_EQ(config.tracker.encoder.depths, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(config.tracker.preprocess.mean, (std::array<double, 3>{0.5, 0, 1}));
  EXPECT_FALSE(config.overlay.draw_labels);
  EXPECT_EQ(config.overlay.mask_opacity, 1.0);
  EXPECT_EQ(config.encode.codec, "libx265");
  EXPECT_EQ(config.train.learning_rate, 5e-4);
}

TEST_F(ConfigFile, FindsWeightsBesideTheFileAndThoseOfTheCommandLineHere) {
  EXPECT_EQ(load("tracker: {weights: ../models/a.pth}").tracker.weights,
            (folder_.path().parent_path() / "models/a.pth").string());
  EXPECT_EQ(load("tracker: {weights: /somewhere/b.pth}").tracker.weights, "/somewhere/b.pth");
  EXPECT_EQ(load("", {"tracker.weights=c.pth"}).tracker.weights, (fs::current_path() / "c.pth").string());
}

TEST_F(ConfigFile, SaysFileLineKeyExpectedAndFound) {
  EXPECT_EQ(error_of("tracker:\n  memory:\n    interval_frames: abc\n"),
            "a.yaml:3: tracker.memory.interval_frames: expected a whole number, at least 1, found 'abc'");
  EXPECT_EQ(error_of("overlay:\n  mask_opacity: 1.5\n"),
            "a.yaml:2: overlay.mask_opacity: expected a number from 0 to 1, found '1.5'");
  EXPECT_EQ(error_of("tracker:\n  encoder:\n    type: resnet\n"),
            "a.yaml:3: tracker.encoder.type: expected internimage or efficientnet_lite0, found 'resnet'");
  EXPECT_EQ(error_of("tracker: {precision: fp8}"),
            "a.yaml:1: tracker.precision: expected fp32, bf16, int8 or fp16, found 'fp8'");
  EXPECT_EQ(error_of("overlay: {draw_labels: maybe}"),
            "a.yaml:1: overlay.draw_labels: expected true or false, found 'maybe'");
  EXPECT_EQ(
      error_of("tracker: {encoder: {depths: [1, 2]}}"),
      "a.yaml:1: tracker.encoder.depths: expected a list of 4 whole numbers from 1 to 256, found '[1, 2]'");
  EXPECT_EQ(error_of("train: {crop_width_px: 160}"),
            "a.yaml:1: train.crop_width_px: expected a whole number from 33 to 2049, of the form 16 k + 1, "
            "found '160'");
  EXPECT_EQ(error_of("train:\n"
                     "  seed:\n"),
            "a.yaml:2: train.seed: expected a whole number, at least 0, found nothing");
}

TEST_F(ConfigFile, RejectsNumbersThatAreNotPlain) {
  for (const char* text :
       {"0", "-3", "1.5", "1e3", "7 frames", "\"7\"", "0x10", "99999999999999999999", "[7]", "{a: 7}", "~"}) {
    EXPECT_NE(error_of("tracker: {memory: {interval_frames: " + std::string(text) + "}}")
                  .find("tracker.memory.interval_frames: expected a whole number"),
              std::string::npos)
        << text;
  }
  for (const char* text : {".nan", ".inf", "nan", "inf", "-0.1", "1.5.0", "''"}) {
    EXPECT_NE(
        error_of("overlay: {mask_opacity: " + std::string(text) + "}").find("expected a number from 0 to 1"),
        std::string::npos)
        << text;
  }
}

TEST_F(ConfigFile, SuggestsTheNearestKey) {
  EXPECT_EQ(
      error_of("tracker:\n  memory:\n    interval_frame: 3\n"),
      "a.yaml:3: tracker.memory.interval_frame: unknown key, did you mean tracker.memory.interval_frames?");
  EXPECT_EQ(error_of("traker: {}"), "a.yaml:1: traker: unknown key, did you mean tracker?");
  EXPECT_EQ(error_of("tracker: {interval_frames: 3}"),
            "a.yaml:1: tracker.interval_frames: unknown key, did you mean tracker.memory.interval_frames?");
  EXPECT_EQ(error_of("zzzzzz: 3"), "a.yaml:1: zzzzzz: unknown key");
}

TEST_F(ConfigFile, RejectsMisplacedStructure) {
  EXPECT_EQ(error_of("tracker: 3"), "a.yaml:1: tracker: expected keys with values, found '3'");
  EXPECT_EQ(error_of("- a\n"), "a.yaml:1: expected keys with values, found '[a]'");
  EXPECT_EQ(error_of("train:\n  seed: 1\n  seed: 2\n"),
            "a.yaml:3: train.seed: expected once, found a second time");
  EXPECT_EQ(error_of("train: {seed: 1}\n---\ntrain: {seed: 2}\n"),
            "a.yaml: expected one YAML document, found several");
  EXPECT_NE(error_of("tracker: [1\nmemory: 2\n").find("expected YAML, found an error"), std::string::npos);
  EXPECT_NE(error_of("a: &x [*y]\n").find("expected YAML, found an error"), std::string::npos);
  EXPECT_NE(error_of(std::string(100'000, '[')).find("expected YAML, found an error"), std::string::npos);
  EXPECT_NE(error_of("{}: 3").find("expected a key"), std::string::npos);
}

TEST_F(ConfigFile, SaysThatThereIsNoFile) {
  for (const fs::path& path : {folder_.path() / "none.yaml", folder_.path()}) {
    try {
      load_config(path);
      ADD_FAILURE() << "read " << path;
    } catch (const ConfigError& e) {
      EXPECT_EQ(std::string(e.what()), path.string() + ": expected a readable YAML file, found none");
    }
  }
}

TEST_F(ConfigFile, ChecksWhatSingleFieldsCannotTell) {
  EXPECT_EQ(error_of("tracker: {states: {uncertain_below: 0.5}}"),
            "a.yaml: tracker.states.lost_below: expected at most uncertain_below (0.5), found 0.55");
  EXPECT_EQ(error_of("tracker: {preprocess: {max_long_edge: 400}}"),
            "a.yaml: tracker.preprocess.max_long_edge: expected at least short_edge (480), found 400");
  EXPECT_EQ(error_of("tracker: {encoder: {groups: [4, 7, 16, 32]}}"),
            "a.yaml: tracker.encoder.groups: expected a divisor of the 128 channels of level 1, found 7");
  EXPECT_EQ(
      error_of("encode: {preset: nope}"),
      "a.yaml: encode.preset: expected one of ultrafast, superfast, veryfast, faster, fast, medium, slow, "
      "slower, veryslow, placebo, found 'nope'");
  EXPECT_EQ(load("encode: {codec: h264_nvenc, preset: p4}").encode.preset, "p4");
}

TEST_F(ConfigFile, OverridesWinAndAreCheckedAlike) {
  const Config config = load("tracker: {memory: {interval_frames: 7}}",
                             {"tracker.memory.interval_frames=9", "tracker.encoder.depths=[2,2,3,1]",
                              "overlay.draw_labels=false", "train.seed=3", "train.seed=4"});
  EXPECT_EQ(config.tracker.memory.interval_frames, 9);
  EXPECT_EQ(config.tracker.encoder.depths, (std::vector<int64_t>{2, 2, 3, 1}));
  EXPECT_FALSE(config.overlay.draw_labels);
  EXPECT_EQ(config.train.seed, 4);
  EXPECT_NE(error_of("", {"tracker.preprocess.max_long_edge=17"}).find(" with --set: tracker.preprocess.max"),
            std::string::npos);
  EXPECT_EQ(error_of("", {"train.seed=x"}),
            "--set: train.seed: expected a whole number, at least 0, found 'x'");
  EXPECT_EQ(error_of("", {"train.seed="}),
            "--set: train.seed: expected a whole number, at least 0, found nothing");
  EXPECT_EQ(error_of("", {"train.sed=1"}), "--set: train.sed: unknown key, did you mean train.seed?");
  EXPECT_EQ(error_of("", {"train=1"}), "--set: train: expected a key with a value, found a section");
  EXPECT_EQ(error_of("", {"train.seed"}), "--set: expected key.sub=value, found 'train.seed'");
  EXPECT_EQ(error_of("", {"=1"}), "--set: expected key.sub=value, found '=1'");
  EXPECT_NE(error_of("", {"train.seed=[1"}).find("--set: train.seed: expected a whole number"),
            std::string::npos);
}

TEST(Configs, PublishedModel) {
  const Config config = load_config(testing::repository_root() / "configs/hqtrack.yaml");
  EXPECT_EQ(config.tracker.encoder.type, "internimage");
  EXPECT_EQ(config.tracker.encoder.depths, (std::vector<int64_t>{4, 4, 18, 4}));
  EXPECT_EQ(config.tracker.propagation_8x.key_width, 64);
  EXPECT_EQ(config.tracker.memory.interval_frames, 50);
  EXPECT_EQ(fs::path(config.tracker.weights).filename(), "hqtrack.pth");
  EXPECT_EQ(config.refiner.every_frames, 1);
  EXPECT_EQ(config.refiner.encoder.widths, (std::vector<int64_t>{1280}));
  EXPECT_EQ(config.selector.iou_threshold, 0.1);
}

TEST(Configs, PublishedModelWithLightRefiner) {
  const Config light = load_config(testing::repository_root() / "configs/hqtrack_light.yaml");
  const Config full = load_config(testing::repository_root() / "configs/hqtrack.yaml");
  EXPECT_EQ(light.refiner.encoder.type, "tiny_vit");
  EXPECT_EQ(fs::path(light.refiner.weights).filename(), "sam_hq_vit_tiny.pth");
  EXPECT_EQ(light.refiner.every_frames, 1);
  EXPECT_EQ(light.refiner.multimask, full.refiner.multimask);
  EXPECT_EQ(light.selector.iou_threshold, full.selector.iou_threshold);
  EXPECT_EQ(light.tracker.weights, full.tracker.weights);
  EXPECT_EQ(light.tracker.encoder.depths, full.tracker.encoder.depths);
  EXPECT_EQ(light.tracker.propagation_16x.width, full.tracker.propagation_16x.width);
  EXPECT_EQ(light.tracker.preprocess.max_long_edge, full.tracker.preprocess.max_long_edge);
  EXPECT_EQ(light.tracker.memory.interval_frames, full.tracker.memory.interval_frames);
}

TEST_F(ConfigFile, TrainingTheRefinerNeedsAKindOfPrompt) {
  const std::vector<std::string> none = {"train.refiner.box_share=0", "train.refiner.point_share=0",
                                         "train.refiner.box_and_point_share=0", "train.refiner.mask_share=0"};
  EXPECT_NE(error_of("", none).find("train.refiner: expected a share above 0 of one kind of prompt"),
            std::string::npos);
  EXPECT_EQ(error_of("train: {refiner: {trained: head}}", {}),
            "a.yaml:1: train.refiner.trained: expected hq_head or all, found 'head'");
}

TEST(Configs, EmbeddedModel) {
  const Config config = load_config(testing::repository_root() / "configs/nano.yaml");
  EXPECT_EQ(config.tracker.encoder.type, "efficientnet_lite0");
  EXPECT_EQ(config.tracker.propagation_16x.num_blocks, 2);
  EXPECT_EQ(config.tracker.propagation_16x.key_width, 64);
  EXPECT_EQ(config.tracker.propagation_8x.width, 48);
  EXPECT_EQ(config.tracker.preprocess.short_edge_rule, "exactly");
  EXPECT_DOUBLE_EQ(config.tracker.preprocess.mean[0], 127.0 / 255);
  EXPECT_DOUBLE_EQ(config.tracker.preprocess.std[2], 128.0 / 255);
  EXPECT_EQ(config.tracker.memory.long_term_frames_8x, 3);
  EXPECT_EQ(config.tracker.search_region.mode, "objects");
  EXPECT_EQ(fs::path(config.tracker.weights),
            (testing::repository_root() / "models/nano.safetensors").lexically_normal());
}

}  // namespace
}  // namespace hqtrack
