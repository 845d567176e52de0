#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "core/label_mask.h"
#include "io/mask_reader.h"
#include "io/rgba_picture.h"
#include "tests/cli/moving_square.h"
#include "tests/cli/program.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

int code(ExitCode exit_code) { return static_cast<int>(exit_code); }

double overlap(const at::Tensor& a, const at::Tensor& b) {
  return a.logical_and(b).sum().item<double>() / a.logical_or(b).sum().item<double>();
}

/// Pictures of a square, refined by the embedded model.
class RefineProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(repository_root() / "models" / "nano_refiner.safetensors"))
      GTEST_SKIP() << "models/nano_refiner.safetensors is missing";
    for (int i = 0; i < 3; ++i) write_image(at("p" + std::to_string(i) + ".png"), square_.image(i));
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  bool is_there(const std::string& name) const { return fs::exists(at(name)); }
  Finished refine(Texts args) const {
    args.insert(args.begin(), "refine");
    if (std::ranges::find(args, "--device") == args.end()) args.insert(args.end(), {"--device", "cpu"});
    args.insert(args.end(), {"--threads", "1", "-o", at("out")});
    return run_program(args);
  }
  /// The square in a picture.
  at::Tensor truth(int64_t index) const { return square_.mask(index).gt(0); }
  at::Tensor found(const std::string& name, int64_t id) const {
    return read_label_mask(folder_.path() / "out" / name).eq(id);
  }
  void expect_failure(const Texts& args, ExitCode expected, const std::string& named) const {
    const Finished finished = refine(args);
    EXPECT_EQ(finished.exit_code, code(expected)) << named << ": " << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find(named), std::string::npos) << named << ": " << finished.err;
    EXPECT_FALSE(is_there("out")) << named;
  }

  TemporaryFolder folder_;
  MovingSquare square_;
  const std::string box_ = "8,20,44,54";  // around the square, in all three
};

TEST_F(RefineProgram, SegmentsABoxInEachPicture) {
  const Finished finished = refine({at("p0.png"), at("p1.png"), "--box", box_, "--id", "7"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(lines_of(finished.err).size(), 1U) << finished.err;
  EXPECT_GT(overlap(found("p0.png", 7), truth(0)), 0.9);
  EXPECT_GT(overlap(found("p1.png", 7), truth(1)), 0.9);
  EXPECT_FALSE(is_there("out/coco.json"));
}

TEST_F(RefineProgram, SharpensAMaskAlone) {
  at::Tensor rough = at::zeros({square_.height, square_.width}, at::kByte);
  rough.slice(0, 21, 48).slice(1, 6, 38).fill_(3);
  write_label_mask(at("rough.png"), rough);
  const Finished finished = refine({at("p0.png"), "--mask", at("rough.png")});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const double before = overlap(rough.gt(0), truth(0)), after = overlap(found("p0.png", 3), truth(0));
  EXPECT_LT(before, 0.8);
  EXPECT_GT(after, 0.85);
}

TEST_F(RefineProgram, TakesPromptsOfAllKindsTogether) {
  write_label_mask(at("rough.png"), square_.mask(0, 9));
  const Texts args = {at("p0.png"),    "--point",      "24,36",  "--id",    "2",
                      "--box",         "70,10,110,60", "--name", "ground",  "--mask",
                      at("rough.png"), "--point",      "24,36",  "--point", "90,80,0"};
  const Finished finished = refine(args);
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const at::Tensor labels = read_label_mask(folder_.path() / "out" / "p0.png");
  const auto at_point = labels[36][24].item<int64_t>();
  EXPECT_TRUE(at_point == 2 || at_point == 3) << at_point;

  Texts whole = args;  // a network that sees the picture as a whole; it has learnt nothing
  whole.insert(whole.end(), {"--config", write_tiny_model(folder_.path()).string(), "--overwrite"});
  const Finished of_whole = refine(whole);
  EXPECT_EQ(of_whole.exit_code, 0) << of_whole.err;
}

TEST_F(RefineProgram, AllFormatsShowTheSameMask) {
  const Finished finished = refine(
      {at("p0.png"), "--box", box_, "--name", "square", "--format", "masks,cutouts", "--format", "coco"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const at::Tensor mask = found("p0.png", 1);
  const std::string bytes = read_text(at("out/p0_1.png"));
  const at::Tensor cut =
      decode_rgba_picture({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "p0_1.png");
  EXPECT_TRUE(cut.select(2, 3).ge(128).equal(mask));
  const Json coco = Json::parse(read_text(at("out/coco.json")));
  EXPECT_EQ(coco["images"][0]["file_name"], "p0.png");
  EXPECT_EQ(coco["categories"][0]["name"], "square");
  const Json& object = coco["annotations"].at(0);
  const Region region = label_regions(mask.to(at::kByte).contiguous())[1];
  EXPECT_EQ(object["area"], region.area_px);
  EXPECT_EQ(object["bbox"], (Json{region.box.x0, region.box.y0, region.box.x1 - region.box.x0,
                                  region.box.y1 - region.box.y0}));
  EXPECT_EQ(object["segmentation"]["size"], (Json{square_.height, square_.width}));
  EXPECT_GT(object["score"].get<double>(), 0.5);
}

TEST_F(RefineProgram, TakesTheBoxesOfADataSet) {
  std::ofstream(at("boxes.json")) << R"({
    "images": [{"id": 4, "file_name": "p0.png", "width": 128, "height": 96}, {"id": 5, "file_name": "p1.png"},
               {"id": 6, "file_name": "p2.png", "width": 640, "height": 480}, {"id": 7, "file_name": "none.png"}],
    "annotations": [
      {"id": 70, "image_id": 4, "category_id": 2, "bbox": [8, 20, 32, 32], "segmentation": [[1, 2, 3]], "score": 0.4},
      {"id": 71, "image_id": 4, "category_id": 2, "bbox": [60, 60, 30, 30], "score": 0.1},
      {"id": 72, "image_id": 5, "category_id": 2, "bbox": [10, 21, 32, 32]},
      {"id": 73, "image_id": 6, "category_id": 2, "bbox": [10, 21, 32, 32]},
      {"id": 74, "image_id": 7, "category_id": 2, "bbox": [10, 21, 32, 32]}],
    "categories": [{"id": 2, "name": "square"}]})";
  const Finished finished =
      refine({"--detections", at("boxes.json"), "--min-score", "0.3", "--format", "masks,coco"});
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInput)) << finished.err;
  EXPECT_NE(finished.err.find("p2.png: expected 640x480 as "), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("none.png: no such file"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("2 of 4 pictures failed"), std::string::npos) << finished.err;
  EXPECT_GT(overlap(found("p0.png", 1), truth(0)), 0.9);
  EXPECT_GT(overlap(found("p1.png", 1), truth(1)), 0.9);
  const Json coco = Json::parse(read_text(at("out/coco.json")));
  EXPECT_EQ(coco["images"].size(), 2U);
  ASSERT_EQ(coco["annotations"].size(), 2U);
  EXPECT_EQ(coco["annotations"][1]["id"], 72);
  EXPECT_EQ(coco["annotations"][1]["image_id"], 5);
  EXPECT_EQ(coco["annotations"][1]["category_id"], 2);
}

TEST_F(RefineProgram, GoesOnBehindAPictureThatFails) {
  std::ofstream(at("text.png")) << "no picture";
  const Finished finished = refine({at("text.png"), at("p0.png"), "--box", box_});
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInput));
  EXPECT_NE(finished.err.find("text.png: expected a PNG"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("1 of 2 pictures failed"), std::string::npos) << finished.err;
  EXPECT_TRUE(is_there("out/p0.png"));
}

TEST_F(RefineProgram, EachKindOfFailureHasItsExitCode) {
  std::ofstream(at("text.png")) << "no picture";
  std::ofstream(at("results.json")) << R"([{"image_id": 0, "bbox": [1, 2, 3, 4]}])";
  fs::create_directory(at("empty"));
  fs::create_directory(at("more"));
  fs::copy(at("p0.png"), at("more/p0.png"));
  fs::copy(at("p0.png"), at("p0_1.png"));
  const std::string p0 = at("p0.png");
  using enum ExitCode;
  expect_failure({}, kUsage, "IMAGE");
  expect_failure({p0}, kUsage, "expected an object");
  expect_failure({p0, "--box", "1,2,3"}, kUsage, "--box");
  expect_failure({p0, "--box", "500,500,600,600"}, kUsage, "inside the picture");
  expect_failure({p0, "--box", box_, "--at", "3"}, kUsage, "--at");
  expect_failure({p0, "--box", box_, "--format", "bogus"}, kUsage, "bogus");
  expect_failure({p0, "--box", box_, "--images", at("")}, kUsage, "--images");
  expect_failure({p0, "--box", box_, "--id", "2", "--mask", p0, "--id", "2"}, kUsage, "--id");
  expect_failure({p0, at("more/p0.png"), "--box", box_}, kUsage, "names of their own");
  expect_failure({p0, at("p0_1.png"), "--box", box_, "--format", "masks,cutouts"}, kUsage, "p0_1.png");
  expect_failure({p0, "--detections", at("results.json")}, kUsage, "expected no image");
  expect_failure({"--box", box_, "--detections", at("results.json")}, kUsage, "--box");
  expect_failure({"--detections", at("results.json")}, kInput, "expected a COCO data set");
  expect_failure({"--detections", at("none.json")}, kInput, "none.json");
  expect_failure({at("empty"), "--box", box_}, kInput, "empty");
  expect_failure({at("text.png"), "--box", box_}, kInput, "text.png");
  expect_failure({at("none.png"), "--box", box_}, kInput, "none.png");
  expect_failure({p0, "--mask", at("text.png")}, kInput, "text.png");
  expect_failure({p0, "--box", box_, "--config", at("none.yaml")}, kConfig, "none.yaml");
  expect_failure({p0, "--box", box_, "--weights", at("none.pth")}, kWeights, "none.pth");
  expect_failure({p0, "--box", box_, "--device", "cuda:77"}, kDevice, "cuda:77");
}

TEST_F(RefineProgram, NeverReplacesAnInputAndOthersOnlyWhenToldTo) {
  const std::string p0 = at("p0.png"), before = read_text(p0);
  fs::create_directory_symlink(folder_.path(), at("out"));  // the folder of the pictures under another name
  const Finished over_input = refine({p0, "--box", box_, "--overwrite"});
  EXPECT_EQ(over_input.exit_code, code(ExitCode::kUsage)) << over_input.err;
  EXPECT_NE(over_input.err.find("would replace an input"), std::string::npos) << over_input.err;
  EXPECT_EQ(read_text(p0), before);
  fs::remove(at("out"));

  fs::create_directory(at("out"));
  std::ofstream(at("out/p0.png")) << "precious";
  EXPECT_EQ(refine({p0, "--box", box_}).exit_code, code(ExitCode::kOutput));
  EXPECT_EQ(read_text(at("out/p0.png")), "precious");
  EXPECT_EQ(refine({p0, "--box", box_, "--overwrite"}).exit_code, 0);
  EXPECT_GT(overlap(found("p0.png", 1), truth(0)), 0.9);
}

TEST_F(RefineProgram, InterruptionCompletesTheOutputs) {
  fs::create_directory(at("many"));
  for (int i = 0; i < 300; ++i) write_image(at("many/" + std::to_string(i) + ".png"), square_.image(i % 3));
  Program program(
      {"refine", at("many"), "--box", box_, "--format", "masks,coco", "--threads", "1", "-o", at("out")});
  for (int i = 0; i < 6000 && !is_there("out/1.png"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  program.send(SIGINT);
  const Finished finished = program.wait();
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInterrupted)) << finished.err;
  const size_t num_pictures = Json::parse(read_text(at("out/coco.json")))["images"].size();
  EXPECT_GE(num_pictures, 2U);
  EXPECT_LT(num_pictures, 300U);
  const auto num_files =
      static_cast<size_t>(std::distance(fs::directory_iterator(at("out")), fs::directory_iterator()));
  EXPECT_EQ(num_files, num_pictures + 1);
}

TEST_F(RefineProgram, InterruptionLeavesACompleteCocoFile) {
  fs::create_directory(at("many"));
  for (int i = 0; i < 300; ++i) write_image(at("many/" + std::to_string(i) + ".png"), square_.image(i % 3));
  fs::create_directory(at("out"));
  std::ofstream(at("out/coco.json")) << "of an earlier run";
  Program program({"refine", at("many"), "--box", box_, "--format", "masks,coco", "--threads", "1", "-o",
                   at("out"), "--overwrite"});
  for (int i = 0; i < 6000 && !is_there("out/1.png"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  program.send(SIGINT);
  const Finished finished = program.wait();
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInterrupted)) << finished.err;
  EXPECT_NE(finished.err.find("coco.json: is left as it was"), std::string::npos) << finished.err;
  EXPECT_EQ(read_text(at("out/coco.json")), "of an earlier run");
}

TEST(RefineHelp, FitsAScreenAndHasAnExample) {
  const Finished help = run_program({"refine", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  const auto lines = lines_of(help.out);
  EXPECT_LE(lines.size(), 23U);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_NE(help.out.find("hqtrack refine cup.jpg --box"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack::testing
