#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <opencv2/core.hpp>

#include "cli/train.h"
#include "core/error.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

std::string usage_error(const Arguments& args) {
  try {
    run_train(args);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

/// A folder of pictures and a configuration of a tiny network.
class TrainCommand : public ::testing::Test {
 protected:
  TrainCommand() {
    for (int i = 0; i < 2; ++i) {
      testing::write_bytes(pictures() / ("photo" + std::to_string(i) + ".png"),
                           testing::png_bytes(testing::drawn_photograph(300, 240, i)));
    }
    testing::write_bytes(pictures() / "cut.png", testing::png_bytes(testing::drawn_cut_out(120, 120, 1)));
    std::ofstream(config())
        << "tracker:\n"
           "  encoder: {type: efficientnet_lite0}\n"
           "  propagation_16x: {num_blocks: 1, width: 16, key_width: 8}\n"
           "  propagation_8x: {num_blocks: 1, width: 8, key_width: 8}\n"
           "  width_4x: 8\n"
           "refiner:\n"
           "  encoder: {type: efficientnet_lite0}\n"
           "  decoder: {width: 32, heads: 2, mlp_width: 32}\n"
           "  image_size: 96\n"
           "  mode: crop\n"
           "train:\n"
           "  {crop_height_px: 49, crop_width_px: 49, clip_frames: 2, batch_size: 1, num_steps: 2,\n"
           "   refiner: {prompts_per_picture: 2, validation_pictures: 1}}\n";
  }
  fs::path pictures() const { return folder_.path() / "pictures"; }
  fs::path config() const { return folder_.path() / "tiny.yaml"; }
  fs::path out() const { return folder_.path() / "out"; }
  Arguments arguments(const Arguments& more, const std::string& network = "vmos") const {
    Arguments all = {network,    "--pictures", pictures().string(), "--config", config().string(),
                     "--device", "cpu",        "--threads",         "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(TrainCommand, TrainsAndGoesOn) {
  EXPECT_EQ(run_train(arguments({"--out", out().string()})), 0);
  EXPECT_TRUE(fs::exists(out() / "weights.safetensors"));
  EXPECT_EQ(run_train(arguments({"--out", out().string(), "--resume", "--set", "train.num_steps=3"})), 0);
  const Arguments from_weights = {"--out", (folder_.path() / "second").string(), "--init",
                                  (out() / "weights.safetensors").string()};
  EXPECT_EQ(run_train(arguments(from_weights)), 0);
  EXPECT_EQ(usage_error(arguments({"--out", out().string()})),
            out().string() + ": holds a training run; resume it or name another folder");
}

TEST_F(TrainCommand, PreviewWritesASheetAndTrainsNothing) {
  const fs::path sheet = folder_.path() / "sheet.png";
  EXPECT_EQ(run_train(arguments({"--preview", sheet.string()})), 0);
  EXPECT_THROW(run_train(arguments({"--preview", sheet.string()})), OutputError);
  EXPECT_EQ(run_train(arguments({"--preview", sheet.string(), "--overwrite"})), 0);
  EXPECT_GT(fs::file_size(sheet), 10000u);
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(TrainCommand, TrainsTheRefinerAndGoesOn) {
  testing::write_bytes(folder_.path() / "pairs/a.jpg",
                       testing::jpeg_bytes(testing::drawn_photograph(120, 90, 1)));
  cv::Mat mask = cv::Mat::zeros(90, 120, CV_8UC3);
  mask(cv::Rect(20, 30, 50, 40)).setTo(cv::Scalar::all(255));
  testing::write_bytes(folder_.path() / "pairs/a.png", testing::png_bytes(mask));
  const std::string pairs = (folder_.path() / "pairs").string();
  const Arguments more = {"--out", out().string(), "--pairs", pairs, "--validate-pairs", pairs};
  EXPECT_EQ(run_train(arguments(more, "refiner")), 0);
  Arguments again = more;
  again.insert(again.end(), {"--resume", "--set", "train.num_steps=3"});
  EXPECT_EQ(run_train(arguments(again, "refiner")), 0);
  const fs::path sheet = folder_.path() / "sheet.png";
  EXPECT_EQ(run_train(arguments({"--preview", sheet.string()}, "refiner")), 0);
  EXPECT_GT(fs::file_size(sheet), 10000u);
  EXPECT_THROW(run_train(arguments({"--out", (out() / "other").string(), "--pairs", "nowhere"}, "refiner")),
               MediaError);
}

TEST_F(TrainCommand, SaysWhichWeightsDoNotFit) {
  const fs::path weights = folder_.path() / "weights.safetensors";
  testing::write_bytes(weights, {'x'});
  EXPECT_THROW(run_train(arguments({"--out", out().string(), "--init", weights.string()})), WeightsError);
}

TEST_F(TrainCommand, SaysHowFarItIs) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_train(arguments({"--out", out().string()})), 0);
  const std::string told = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("step 1 of 2, 50 %, 0:"), std::string::npos) << told;
}

TEST_F(TrainCommand, SaysFirstThatThereAreNoPictures) {
  try {
    run_train(Arguments{"vmos", "--pictures", "nowhere", "--out", "x", "--config", "none.yaml"});
    ADD_FAILURE() << "no error";
  } catch (const MediaError& error) {
    EXPECT_STREQ(error.what(), "--pictures: nowhere: expected a folder, found nothing");
  }
}

TEST_F(TrainCommand, SaysWhatIsMissing) {
  EXPECT_EQ(usage_error({"--out", "x"}), "expected vmos or refiner, found none; see --help");
  EXPECT_EQ(usage_error({"vmos", "--out", "x"}), "expected --pictures or --sequences, found neither");
  EXPECT_EQ(usage_error({"vmos", "--pictures", "x"}), "--out: expected a folder for the results, found none");
  EXPECT_EQ(usage_error({"sam", "--pictures", "x"}), "'sam': expected what to train, vmos or refiner");
  EXPECT_EQ(usage_error({"refiner", "--out", "x"}), "expected --pictures or --pairs, found neither");
  EXPECT_EQ(usage_error({"refiner", "--pictures", "x", "--out", "y", "--sequences", "z"}),
            "--sequences: has no meaning for train refiner");
  EXPECT_EQ(usage_error({"vmos", "--pictures", "x", "--out", "y", "--pairs", "z"}),
            "--pairs: has no meaning for train vmos");
  EXPECT_EQ(usage_error({"vmos", "--pictures", "x", "--out", "y", "--validate-list", "z"}),
            "--validate-list: has no meaning without --validate-root");
}

}  // namespace
}  // namespace hqtrack
