#include "cli/bench.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/moving_square.h"
#include "tests/cli/program.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

using Json = nlohmann::json;

std::vector<std::string> bench(const std::filesystem::path& config, const std::vector<std::string>& more) {
  std::vector<std::string> args = {"bench",    "--config", config.string(), "--device", "cpu",
                                   "--frames", "3",        "--json",        "-"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

Json report_of(const std::vector<std::string>& args) {
  const Finished finished = run_program(args);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  return Json::parse(finished.out);
}

TEST(BenchProgram, MeasuresEveryStage) {
  const TemporaryFolder folder;
  const auto config = write_tiny_model(folder.path());
  const Json report =
      report_of(bench(config, {"--set", "refine=always", "--input", "synthetic:128x96", "--objects", "5"}));
  EXPECT_EQ(report["frames"], 3);
  EXPECT_EQ(report["long_term_frames"], 2);
  EXPECT_EQ(report["made_up_tracker"], false);
  EXPECT_EQ(report["made_up_refiner"], false);
  EXPECT_GT(report["frames_per_second"], 0);
  EXPECT_GT(report["peak_flops_per_second"], 0);
  EXPECT_GT(report["peak_resident_bytes"], 1 << 20);
  EXPECT_TRUE(report["peak_device_bytes"].is_null());
  std::vector<std::string> names;
  for (const Json& stage : report["stages"]) {
    names.push_back(stage["stage"]);
    EXPECT_GE(stage["ms_p95"], stage["ms_p50"]) << names.back();
  }
  const std::vector<std::string> expected = {
      "decode", "preprocess", "encoder",    "16x blocks", "8x block", "fusion",  "head",
      "memory", "box",        "SAM encode", "SAM decode", "select",   "overlay", "encode"};
  EXPECT_EQ(names, expected);
  // Two engines hold five objects: what an engine does costs twice as much as the one of a single object.
  const Json single = report_of(bench(config, {"--input", "synthetic:128x96", "--objects", "1"}));
  const auto flops = [](const Json& of, const std::string& name) {
    for (const Json& stage : of["stages"]) {
      if (stage["stage"] == name) return stage["flops"].get<double>();
    }
    return 0.0;
  };
  EXPECT_GT(flops(single, "8x block"), 0);
  EXPECT_EQ(flops(report, "8x block"), 2 * flops(single, "8x block"));
  EXPECT_EQ(flops(report, "encoder"), flops(single, "encoder"));
  EXPECT_EQ(flops(single, "SAM encode"), 0);  // refine: off
}

TEST(BenchProgram, HoldsAMemoryBudgetOrSaysTheLeast) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer takes memory of its own";
#endif
  const TemporaryFolder folder;
  const auto config = write_tiny_model(folder.path());
  const auto with_budget = [&](const std::string& mib) {
    return bench(config, {"--set", "refine=always", "--input", "synthetic:1280x720", "--objects", "6",
                          "--memory-budget", mib});
  };
  const Finished refused = run_program(with_budget("1"));
  EXPECT_EQ(refused.exit_code, 7);
  const std::string before = "error: --memory-budget: expected at least ";
  ASSERT_TRUE(refused.err.starts_with(before)) << refused.err;
  const int64_t least = std::stoll(refused.err.substr(before.size()));
  for (const int64_t budget : {least, least + 100, least + 1000}) {
    const Finished finished = run_program(with_budget(std::to_string(budget)));
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_TRUE(finished.err.starts_with("info: memory budget " + std::to_string(budget) + " MiB: at most "))
        << finished.err;
    EXPECT_LE(Json::parse(finished.out)["peak_resident_bytes"], budget << 20);
  }
}

TEST(BenchProgram, MakesUpWeightsThatAreNotThere) {
  const TemporaryFolder folder;
  const auto config = write_tiny_model(folder.path());
  std::filesystem::remove(folder.path() / "tiny.safetensors");
  std::filesystem::remove(folder.path() / "tiny_refiner.safetensors");
  const MovingSquare square;
  square.write_video(folder.path() / "a.mp4", 8);
  const Json report =
      report_of(bench(config, {"--set", "refine=always", "--input", (folder.path() / "a.mp4").string()}));
  EXPECT_EQ(report["made_up_tracker"], true);
  EXPECT_EQ(report["made_up_refiner"], true);
  EXPECT_EQ(report["stages"].size(), 14);
}

TEST(BenchProgram, TakesAPresetBeforeSettings) {
  const auto config = repository_root() / "configs/nano.yaml";
  const auto flops_of_8x = [&](const std::vector<std::string>& more) {
    std::vector<std::string> options = {"--input", "synthetic:128x96"};
    options.insert(options.end(), more.begin(), more.end());
    const Json report = report_of(bench(config, options));
    double flops = 0;
    for (const Json& stage : report["stages"]) {
      if (stage["stage"] == "8x block") flops = stage["flops"];
    }
    return flops;
  };
  const double exact = flops_of_8x({"--preset", "exact"});
  EXPECT_EQ(flops_of_8x({}), exact);
  EXPECT_GT(exact, 0);
  EXPECT_LT(flops_of_8x({"--preset", "fast"}), exact);
  EXPECT_EQ(flops_of_8x({"--set", "tracker.propagation_8x.exact_frames=0", "--preset", "fast"}), exact);
}

TEST(BenchProgram, InterruptionLeavesNothingBehind) {
  const TemporaryFolder folder;
  const auto config = write_tiny_model(folder.path());
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  const auto is_working = [&] {
    return std::ranges::any_of(std::filesystem::directory_iterator(folder.path()), [](const auto& entry) {
      return entry.path().filename().string().starts_with("hqtrack_bench_");
    });
  };
  // Drawing the video, and behind it.
  for (const char* frames : {"100000", "2000"}) {
    Program program({"bench", "--config", config.string(), "--device", "cpu", "--threads", "1", "--frames",
                     frames, "--input", "synthetic:32x32"});
    for (int i = 0; i < 6000 && !is_working(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(is_working());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    program.send(SIGINT);
    EXPECT_EQ(program.wait().exit_code, 130);
    EXPECT_FALSE(is_working());
  }
  ::unsetenv("TMPDIR");
}

TEST(BenchProgram, PrintsATable) {
  const TemporaryFolder folder;
  const auto config = write_tiny_model(folder.path());
  const Finished finished = run_program({"bench", "--config", config.string(), "--device", "cpu", "--frames",
                                         "2", "--input", "synthetic:128x96"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  for (const char* part : {"16x blocks", "of peak", "frames/s", "peak memory"}) {
    EXPECT_NE(finished.out.find(part), std::string::npos) << part;
  }
}

TEST(BenchProgram, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const auto config = write_tiny_model(folder.path());
  const MovingSquare square;
  square.write_video(folder.path() / "short.mp4", 2);
  const std::vector<std::pair<std::vector<std::string>, int>> cases = {
      {{"--objects", "0"}, 2},           {{"--input", "synthetic:128"}, 2},
      {{"--input", "synthetic:x96"}, 2}, {{"--input", "synthetic:127x96"}, 2},
      {{"--input", "nowhere.mp4"}, 5},   {{"--input", (folder.path() / "short.mp4").string()}, 5},
      {{"--set", "no.such=key"}, 3},     {{"--preset", "quick"}, 2},
      {{"--device", "cuda:77"}, 7}};
  for (const auto& [options, code] : cases) {
    std::vector<std::string> args = {"bench", "--config", config.string()};
    args.insert(args.end(), options.begin(), options.end());
    const Finished finished = run_program(args);
    EXPECT_EQ(finished.exit_code, code) << options[1];
    EXPECT_EQ(lines_of(finished.err).size(), 1) << finished.err;
    EXPECT_EQ(finished.out, "");
  }
}

}  // namespace
}  // namespace hqtrack::testing
