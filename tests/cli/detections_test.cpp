#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/detection_prompts.h"
#include "cli/track_arguments.h"
#include "core/error.h"
#include "tests/cli/moving_square.h"
#include "tests/cli/program.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

using Json = nlohmann::json;
using Texts = std::vector<std::string>;

PromptArguments prompts_of(Texts args) {
  args.insert(args.end(), {"in.mp4", "--events", "-"});
  return parse_track_arguments(args)->prompts;
}

TEST(DetectionArguments, StandBesideOtherObjects) {
  const PromptArguments prompts =
      prompts_of({"--box", "1,2,3,4", "--detections", "a.json", "--at", "5", "--min-score", "0.5", "--name",
                  "cup", "--point", "7,8", "--at", "9", "--detections", "b.txt"});
  ASSERT_EQ(prompts.entries.size(), 2U);
  EXPECT_EQ(prompts.entries[1].name, "cup");
  ASSERT_EQ(prompts.detections.size(), 2U);
  EXPECT_EQ(prompts.detections[0].file, "a.json");
  EXPECT_EQ(prompts.detections[0].at.frame_index, 5);
  EXPECT_EQ(prompts.detections[0].min_score, 0.5);
  EXPECT_EQ(prompts.entries[1].at.frame_index, 9);  // an --at behind an object is that object's
  EXPECT_EQ(prompts.detections[1].at.frame_index, 0);
  EXPECT_LT(prompts.detections[1].min_score, -1e9);
}

TEST(DetectionArguments, RefuseWhatMakesNoSense) {
  for (const Texts& args : std::vector<Texts>{{"--min-score", "0.5"},
                                              {"--box", "1,2,3,4", "--min-score", "0.5"},
                                              {"--detections", ""},
                                              {"--detections", "a", "--min-score", "high"},
                                              {"--detections", "a", "--min-score", "nan"},
                                              {"--id", "3", "--detections", "a"},
                                              {"--detections", "a", "--id", "3"}}) {
    EXPECT_THROW(prompts_of(args), UsageError) << args.back();
  }
}

Detection detection(double x, double width, double score) {
  Detection made;
  made.box = {x, 0, x + width, 10};
  made.score = score;
  return made;
}

TEST(FitToPicture, LeavesOutWhatCannotBeSeenAndTheLeastSure) {
  std::vector<Detection> found = {detection(0, 10, 0.9), detection(200, 10, 0.8), detection(5, 0, 0.7)};
  EXPECT_EQ(fit_to_picture(found, "f", 50, 100, 255).size(), 1U);
  found.erase(found.begin());
  EXPECT_THROW(fit_to_picture(found, "f", 50, 100, 255), MediaError);
  const std::vector<Detection> many(300, detection(0, 10, 0.5));
  EXPECT_EQ(fit_to_picture(many, "f", 50, 100, 255).size(), 255U);
}

/// A short video of a square, tracked by the embedded model.
class TrackDetections : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(repository_root() / "models" / "nano_refiner.safetensors"))
      GTEST_SKIP() << "models/nano_refiner.safetensors is missing";
    square_.write_video(at("in.mp4"), 3);
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  Finished track(const std::string& contents, const Texts& more) const {
    std::ofstream(at("found")) << contents;
    Texts args = {"track", at("in.mp4"), "--device", "cpu", "--events", "-", "--detections", at("found")};
    args.insert(args.end(), more.begin(), more.end());
    return run_program(args);
  }

  TemporaryFolder folder_;
  MovingSquare square_;  // at 8, 20 in the first frame
};

TEST_F(TrackDetections, BecomeObjects) {
  const Finished finished = track(
      "1,300,9,21,32,32,0.2\n1,5,9,21,32,32,0.9\n2,6,1,1,9,9,1\n1,7,900,1,9,9,1\n", {"--min-score", "0.5"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.err.find("found: left out 1 box without a pixel"), std::string::npos) << finished.err;
  const Json first = Json::parse(lines_of(finished.out).at(0));
  ASSERT_EQ(first["objects"].size(), 1U);
  EXPECT_EQ(first["objects"][0]["id"], 5);
  EXPECT_NEAR(first["objects"][0]["area"].get<double>(), 32 * 32, 150);
}

TEST_F(TrackDetections, TakeTheNamesOfTheirCategories) {
  const Finished finished = track(R"({"images": [{"id": 7, "file_name": "x.jpg"}],
      "annotations": [{"image_id": 7, "category_id": 4, "bbox": [10, 21, 32, 32]}],
      "categories": [{"id": 4, "name": "square"}]})",
                                  {"--at", "1"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(Json::parse(lines_of(finished.out).at(0))["objects"].size(), 0U);
  const Json objects = Json::parse(lines_of(finished.out).at(1))["objects"];
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_EQ(objects[0]["id"], 1);
  EXPECT_EQ(objects[0]["name"], "square");
}

TEST_F(TrackDetections, SayWhichFramesThereAre) {
  const Finished finished = track("4,1,1,1,9,9,1\n6,1,1,1,9,9,1\n", {});
  EXPECT_EQ(finished.exit_code, static_cast<int>(ExitCode::kInput));
  EXPECT_NE(finished.err.find("detections of frame 0, found some of frames 3 and 5"), std::string::npos)
      << finished.err;
}

}  // namespace
}  // namespace hqtrack::testing
