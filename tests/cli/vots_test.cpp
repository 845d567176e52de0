#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/cli/program.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using namespace hqtrack::testing;

/// The program with a small network of random weights, over the data set of tests/data/vots.
class VotsProgram : public ::testing::Test {
 protected:
  void SetUp() override { model_ = write_tiny_model(folder_.path()); }

  /// Runs `hqtrack vots` with these lines on its standard input.
  Finished vots(std::vector<std::string> args, const std::string& input) const {
    std::ofstream(file("input")) << input;
    args.insert(args.begin(), "vots");
    args.insert(args.end(), {"--device", "cpu"});
    return Program(args, file("input")).wait();
  }
  std::string picture(int frame) const {
    return (data() / "cross" / "color" / ("0000000" + std::to_string(frame) + ".jpg")).string();
  }
  fs::path data() const { return repository_root() / "tests" / "data" / "vots" / "data"; }
  fs::path file(const char* name) const { return folder_.path() / name; }
  std::string model() const { return model_.string(); }

 private:
  TemporaryFolder folder_;
  fs::path model_;
};

TEST_F(VotsProgram, AnswersOnStdoutAndNothingElse) {
  const std::string mask = "mask:20,40,30,20,0,600";
  const Finished run = vots({"--config", model(), "--log", file("log").string()},
                            "@@TRAX:initialize \"" + mask + "\" \n@@TRAX:frame \"file://" + picture(1) +
                                "\" \n@@TRAX:frame \"file://" + picture(2) + "\" \n@@TRAX:quit \n");
  EXPECT_EQ(run.exit_code, 0) << read_text(file("log"));
  EXPECT_EQ(run.err, "");
  const auto lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), 3U) << run.out;
  EXPECT_TRUE(lines[0].starts_with("@@TRAX:hello "));
  EXPECT_TRUE(lines[1].starts_with("@@TRAX:state \"" + mask + "\""));
  EXPECT_TRUE(lines[2].starts_with("@@TRAX:state \"mask:"));
}

TEST_F(VotsProgram, WeightsThatCannotBeReadAreSaidInTheProtocol) {
  const Finished run =
      vots({"--config", model(), "--weights", file("none").string(), "--log", file("log").string()}, "");
  EXPECT_EQ(run.exit_code, static_cast<int>(ExitCode::kWeights));
  const auto lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), 2U) << run.out;
  EXPECT_TRUE(lines[0].starts_with("@@TRAX:hello "));
  EXPECT_NE(lines[1].find("@@TRAX:quit \"trax.reason="), std::string::npos);
  EXPECT_NE(lines[1].find("none"), std::string::npos);
  EXPECT_NE(read_text(file("log")).find("error: "), std::string::npos);
}

TEST_F(VotsProgram, WritesAWorkspaceOnce) {
  const std::string workspace = file("a workspace").string();
  const std::vector<std::string> args = {
      "vots", "--init-workspace", workspace, "--config", model(),     "--stack", "local", "--name",
      "tiny", "--threads",        "1",       "--set",    "refine=off"};
  const Finished run = run_program(args);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("vot evaluate --workspace '" + workspace + "' tiny"), std::string::npos) << run.out;
  const std::string ini = read_text(fs::path(workspace) / "trackers.ini");
  EXPECT_TRUE(ini.starts_with("[tiny]\n")) << ini;
  EXPECT_NE(ini.find(" vots --config " + model() + " --set refine=off --threads 1 --log \"" + workspace),
            std::string::npos)
      << ini;
  EXPECT_NE(read_text(fs::path(workspace) / "config.yaml").find("stack: ./stack.yaml"), std::string::npos);
  const Finished again = run_program(args);
  EXPECT_EQ(again.exit_code, static_cast<int>(ExitCode::kOutput));
  EXPECT_EQ(read_text(fs::path(workspace) / "trackers.ini"), ini);
}

TEST_F(VotsProgram, RefusesWhatMakesNoSense) {
  const auto code = [](std::vector<std::string> args) {
    args.insert(args.begin(), "vots");
    return run_program(args).exit_code;
  };
  const int usage = static_cast<int>(ExitCode::kUsage);
  EXPECT_EQ(code({"--region", "polygon"}), usage);
  EXPECT_EQ(code({"--name", "x"}), usage);
  EXPECT_EQ(code({"--init-workspace", file("w").string(), "--name", "a b"}), usage);
  EXPECT_EQ(code({"--init-workspace", file("w").string(), "--stack", "vots2032"}), usage);
  EXPECT_EQ(code({"--init-workspace", file("w").string(), "--config", "none.yaml"}),
            static_cast<int>(ExitCode::kConfig));
  EXPECT_FALSE(fs::exists(file("w")));
}

TEST_F(VotsProgram, EvaluatesTracksAndCompares) {
  const std::vector<std::string> run = {"eval",
                                        "vots",
                                        "--dataset",
                                        data().string(),
                                        "--results",
                                        file("results").string(),
                                        "--run",
                                        "--config",
                                        model(),
                                        "--device",
                                        "cpu",
                                        "--jobs",
                                        "2",
                                        "--json",
                                        file("a.json").string(),
                                        "--report",
                                        file("a.html").string()};
  const Finished first = run_program(run);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(lines_of(first.out).size(), 1 + 3 + 5 + 1U) << first.out;
  EXPECT_NE(read_text(file("a.html")).find("tracker weights"), std::string::npos);
  const Finished second = run_program(run);
  EXPECT_NE(second.err.find("late: its results are there"), std::string::npos) << second.err;
  EXPECT_EQ(second.out, first.out);
  const Finished compared =
      run_program({"eval", "vots", "--dataset", data().string(), "--results", file("results").string(),
                   "--against", file("a.json").string(), "--csv", file("a.csv").string()});
  EXPECT_NE(compared.out.find("+0.0000"), std::string::npos) << compared.out;
  EXPECT_NE(read_text(file("a.csv")).find("object,late,3,32,"), std::string::npos);

  fs::remove(file("results") / "baseline" / "gone" / "gone_001.bin");
  const Finished missing =
      run_program({"eval", "vots", "--dataset", data().string(), "--results", file("results").string()});
  EXPECT_EQ(missing.exit_code, static_cast<int>(ExitCode::kInput));
  EXPECT_NE(missing.err.find("gone_001.bin: expected the results of an object"), std::string::npos)
      << missing.err;
  EXPECT_EQ(run_program({"eval", "vots", "--dataset", data().string(), "--results", file("results").string(),
                         "--allow-missing"})
                .exit_code,
            0);
}

TEST_F(VotsProgram, NeverReplacesTheDataSet) {
  const fs::path set = file("set");
  fs::copy(data(), set, fs::copy_options::recursive);
  const auto run = [&](const fs::path& results) {
    return run_program({"eval", "vots", "--dataset", set.string(), "--results", results.string(), "--run",
                        "--config", model(), "--device", "cpu"});
  };
  EXPECT_EQ(run(set).exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_TRUE(fs::exists(set / "gone" / "groundtruth.txt"));
  EXPECT_TRUE(fs::exists(set / "gone" / "color" / "00000001.jpg"));
  std::ofstream(set / "list.txt") << "../set/gone\n";
  const Finished outside = run(file("results"));
  EXPECT_EQ(outside.exit_code, static_cast<int>(ExitCode::kInput));
  EXPECT_NE(outside.err.find("list.txt: expected the name of a folder beside it"), std::string::npos)
      << outside.err;
}

TEST_F(VotsProgram, DamagedResultsAreTrackedAgainAndOthersAreKept) {
  const std::vector<std::string> run = {
      "eval",  "vots",     "--dataset", data().string(), "--results", file("results").string(),
      "--run", "--config", model(),     "--device",      "cpu"};
  ASSERT_EQ(run_program(run).exit_code, 0);
  const fs::path gone = file("results") / "baseline" / "gone" / "gone_001.bin";
  const std::string whole = read_text(gone);
  std::ofstream(gone) << whole.substr(0, 100);
  std::ofstream(file("results") / "baseline" / "gone" / "notes.txt") << "mine";
  ASSERT_EQ(run_program(run).exit_code, 0);
  EXPECT_EQ(read_text(gone), whole);
  EXPECT_EQ(read_text(file("results") / "baseline" / "gone" / "notes.txt"), "mine");

  std::vector<std::string> other = run;
  other.insert(other.end(), {"--set", "tracker.memory.interval_frames=1"});
  const Finished refused = run_program(other);
  EXPECT_EQ(refused.exit_code, static_cast<int>(ExitCode::kOutput));
  EXPECT_NE(refused.err.find("expected no results, or those of the same configuration"), std::string::npos)
      << refused.err;
  fs::remove(file("results") / "run.txt");  // as of another tracker
  EXPECT_EQ(run_program(run).exit_code, static_cast<int>(ExitCode::kOutput));
  EXPECT_EQ(read_text(gone), whole);
}

TEST_F(VotsProgram, ComparesWithARunWhoseFileItReplaces) {
  const auto evaluate = [&](const char* tracker, std::vector<std::string> more) {
    std::vector<std::string> args = {"eval",      "vots",
                                     "--dataset", data().string(),
                                     "--results", (data().parent_path() / "results" / tracker).string(),
                                     "--json",    file("a.json").string()};
    args.insert(args.end(), more.begin(), more.end());
    return run_program(args);
  };
  ASSERT_EQ(evaluate("drifts", {}).exit_code, 0);
  const Finished compared = evaluate("perfect", {"--against", file("a.json").string()});
  EXPECT_NE(compared.out.find("0.4748 0.9719 +0.4971"), std::string::npos) << compared.out;
  EXPECT_EQ(evaluate("perfect", {"--csv", file("a.json").string()}).exit_code,
            static_cast<int>(ExitCode::kUsage));
  EXPECT_EQ(evaluate("perfect", {"--against", file("input").string()}).exit_code,
            static_cast<int>(ExitCode::kInput));
}

}  // namespace
}  // namespace hqtrack
