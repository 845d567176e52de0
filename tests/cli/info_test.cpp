#include "cli/info.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/cli/moving_square.h"
#include "tests/cli/program.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

using Json = nlohmann::json;

Json info_of(const std::vector<std::string>& args) {
  std::vector<std::string> all = {"info", "--json"};
  all.insert(all.end(), args.begin(), args.end());
  const Finished finished = run_program(all);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  return Json::parse(finished.out);
}

TEST(InfoProgram, DescribesProgramAndMachine) {
  const Json info = info_of({});
  EXPECT_EQ(info["version"], HQTRACK_VERSION);
  EXPECT_EQ(info["libtorch"].get<std::string>().substr(0, 2), "2.");
  EXPECT_GE(info["cpu"]["threads"], 1);
  EXPECT_TRUE(info["cuda"]["devices"].is_array());
  EXPECT_TRUE(info["ffmpeg"]["libraries"].contains("libavcodec"));
  EXPECT_TRUE(info["ffmpeg"]["hardware_encoders"].is_array());
  const Finished text = run_program({"info"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("LibTorch"), std::string::npos);
  EXPECT_EQ(text.out.find("AVX512-BF16") != std::string::npos, info["cpu"]["bf16"].get<bool>());
  EXPECT_EQ(text.out.find("VNNI") != std::string::npos, info["cpu"]["int8"].get<bool>());
}

TEST(InfoProgram, DescribesAVideo) {
  const TemporaryFolder folder;
  const MovingSquare square;
  square.write_video(folder.path() / "a.mp4", 10);
  const Json info = info_of({(folder.path() / "a.mp4").string()});
  EXPECT_EQ(info["width"], 128);
  EXPECT_EQ(info["height"], 96);
  EXPECT_EQ(info["codec"], "h264");
  EXPECT_EQ(info["frames"], 10);
  EXPECT_NEAR(info["frame_rate"].get<double>(), 25, 0.01);
  EXPECT_NEAR(info["seconds"].get<double>(), 0.4, 0.041);
  EXPECT_EQ(info["has_audio"], false);
}

TEST(InfoProgram, DescribesWeights) {
  const TemporaryFolder folder;
  write_tiny_model(folder.path());
  const Json info = info_of({(folder.path() / "tiny.safetensors").string()});
  EXPECT_EQ(info["format"], "safetensors");
  int64_t num_parameters = 0;
  for (const Json& tensor : info["tensors"]) {
    int64_t count = 1;
    for (const Json& size : tensor["shape"]) count *= size.get<int64_t>();
    num_parameters += count;
  }
  EXPECT_EQ(info["parameters"], num_parameters);
  EXPECT_EQ(info["types"]["Float"], num_parameters);
}

TEST(InfoProgram, DoesNotWaitForAPipe) {
  const TemporaryFolder folder;
  for (const char* name : {"video", "weights.pth"}) {
    const std::filesystem::path pipe = folder.path() / name;
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const Finished finished = run_program({"info", pipe.string()});
    EXPECT_EQ(finished.exit_code, 5);
    EXPECT_EQ(finished.err, "error: " + pipe.string() + ": expected a file or URL, found a pipe\n");
  }
}

TEST(Program, EveryHelpFitsAScreenAndHasAnExample) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"--help"},
                                               {"track", "--help"},
                                               {"serve", "--help"},
                                               {"ctl", "--help"},
                                               {"refine", "--help"},
                                               {"info", "--help"},
                                               {"convert", "--help"},
                                               {"eval", "--help"},
                                               {"train", "--help"}}) {
    const Finished finished = run_program(args);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    const std::vector<std::string> lines = lines_of(finished.out);
    EXPECT_GE(lines.size(), 4U) << args[0];
    EXPECT_LE(lines.size(), 24U) << args[0];
    for (const std::string& line : lines) EXPECT_LE(line.size(), 80U) << line;
    EXPECT_NE(finished.out.find("\n  hqtrack "), std::string::npos) << args[0] << " has no example";
  }
}

TEST(Program, TellsItsVersion) { EXPECT_EQ(run_program({"--version"}).out, "hqtrack " HQTRACK_VERSION "\n"); }

}  // namespace
}  // namespace hqtrack::testing
