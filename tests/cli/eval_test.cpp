#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "core/error.h"
#include "eval/davis_dataset.h"
#include "tests/cli/program.h"
#include "tests/eval/davis_folder.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using namespace hqtrack::testing;

/// Two sequences of four frames, and a model that runs on them.
class EvalProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    const at::Tensor one = draw_labels(64, 96, {{1, 10, 10, 30, 20}});
    const at::Tensor two = draw_labels(64, 96, {{1, 10, 10, 30, 20}, {4, 60, 30, 20, 20}});
    write_davis_sequence(data(), "dog", {one, one, one, one});
    write_davis_sequence(data(), "duo", {two, two, two, two});
    model_ = write_tiny_model(folder_.path());
  }

  Finished eval(std::vector<std::string> args) const {
    args.insert(args.begin(), {"eval", "davis", "--root", data().string()});
    return run_program(args);
  }
  fs::path data() const { return folder_.path() / "data"; }
  fs::path file(const char* name) const { return folder_.path() / name; }
  const fs::path& model() const { return model_; }
  nlohmann::json json(const char* name) const { return nlohmann::json::parse(read_text(file(name))); }

 private:
  TemporaryFolder folder_;
  fs::path model_;
};

TEST_F(EvalProgram, TracksScoresAndScoresItsOwnMasksTheSame) {
  const Finished tracked = eval({"--config", model().string(), "--device", "cpu", "--masks",
                                 file("masks").string(), "--json", file("tracked.json").string()});
  ASSERT_EQ(tracked.exit_code, 0) << tracked.err;
  const auto lines = lines_of(tracked.out);
  ASSERT_EQ(lines.size(), 6) << tracked.out;  // head, dog, duo and its two objects, mean
  EXPECT_TRUE(lines[1].starts_with("dog ")) << lines[1];
  EXPECT_TRUE(lines[5].starts_with("mean over 3 objects")) << lines[5];
  EXPECT_EQ(json("tracked.json")["config"], "tiny");
  EXPECT_GT(json("tracked.json")["frames_per_second"].get<double>(), 0);

  const Finished scored = eval({"--results", file("masks").string(), "--json", file("scored.json").string()});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  for (const char* key : {"j_mean", "f_mean", "j_and_f", "j_decay"}) {
    EXPECT_EQ(json("scored.json")[key], json("tracked.json")[key]) << key;
  }
}

TEST_F(EvalProgram, SaysWithWhichSettingsAndComparesLikeWithLike) {
  const auto run = [&](const char* output, std::vector<std::string> more) {
    more.insert(more.begin(),
                {"--config", model().string(), "--device", "cpu", "--json", file(output).string()});
    return eval(more);
  };
  ASSERT_EQ(run("all.json", {"--set", "tracker.memory.interval_frames=2", "--from-boxes"}).exit_code, 0);
  EXPECT_EQ(json("all.json")["settings"],
            (std::vector<std::string>{"tracker.memory.interval_frames=2", "--from-boxes"}));
  std::ofstream(file("list.txt")) << "dog\n";
  const Finished part = run("part.json", {"--list", file("list.txt").string(), "--against",
                                          file("all.json").string(), "--report", file("part.html").string()});
  ASSERT_EQ(part.exit_code, 0) << part.err;
  const auto lines = lines_of(part.out);
  EXPECT_TRUE(lines[lines.size() - 2].starts_with("dog "));
  EXPECT_NE(lines[lines.size() - 2].find_first_of("+-"), std::string::npos);
  EXPECT_TRUE(lines.back().starts_with("all "));
  EXPECT_EQ(lines.back().find_first_of("0123456789"), std::string::npos) << lines.back();
  const Finished missing = eval({"--results", file("nowhere").string()});
  EXPECT_EQ(missing.exit_code, static_cast<int>(ExitCode::kInput));
  EXPECT_NE(missing.err.find("nowhere: expected a folder of results, found nothing"), std::string::npos);
}

TEST_F(EvalProgram, PerfectResultsScoreOne) {
  const fs::path truth = data() / "Annotations" / "480p";
  const Finished scored = eval({"--results", truth.string(), "--json", file("scores.json").string()});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(json("scores.json")["j_and_f"], 1.0);
  EXPECT_EQ(json("scores.json")["num_objects"], 3);
}

TEST_F(EvalProgram, MayTellTheTrackerBoxesOnly) {
  const Finished by_mask =
      eval({"--config", model().string(), "--device", "cpu", "--json", file("mask.json").string()});
  const Finished by_box = eval({"--config", model().string(), "--device", "cpu", "--from-boxes", "--by-score",
                                "--json", file("box.json").string()});
  ASSERT_EQ(by_mask.exit_code, 0) << by_mask.err;
  ASSERT_EQ(by_box.exit_code, 0) << by_box.err;
  EXPECT_EQ(json("box.json")["num_objects"], 3);
  EXPECT_NE(by_box.out.find("expected calibration error"), std::string::npos) << by_box.out;
  EXPECT_EQ(json("box.json")["sequences"][0]["objects"][0]["score"].size(), 2U);
  EXPECT_NE(json("box.json")["j_mean"], json("mask.json")["j_mean"]);
  const Finished refused = eval({"--results", file("masks").string(), "--from-boxes"});
  EXPECT_EQ(refused.exit_code, static_cast<int>(ExitCode::kUsage));
}

TEST_F(EvalProgram, NeverReplacesTheDataSet) {
  const fs::path truth = data() / "Annotations" / "480p";
  const std::string before = read_text(truth / "dog" / "00001.png");
  const Finished refused = eval({"--config", model().string(), "--masks", truth.string()});
  EXPECT_EQ(refused.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_NE(refused.err.find("would replace files of the data set"), std::string::npos) << refused.err;
  EXPECT_EQ(read_text(truth / "dog" / "00001.png"), before);
}

TEST_F(EvalProgram, InterruptionKeepsTheMasksThatAreWritten) {
  const at::Tensor one = draw_labels(64, 96, {{1, 10, 10, 30, 20}});
  write_davis_sequence(data(), "long", std::vector<at::Tensor>(2000, one));
  std::ofstream(file("list.txt")) << "long\n";
  Program program({"eval", "davis", "--root", data().string(), "--list", file("list.txt").string(),
                   "--config", model().string(), "--device", "cpu", "--masks", file("masks").string()});
  const fs::path tenth = file("masks") / "long" / "00010.png";
  for (int tries = 0; tries < 600 && !fs::exists(tenth); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  program.send(SIGTERM);
  const Finished finished = program.wait();
  EXPECT_EQ(finished.exit_code, static_cast<int>(ExitCode::kInterrupted)) << finished.err;
  EXPECT_NE(finished.err.find("interrupted"), std::string::npos) << finished.err;
  EXPECT_TRUE(fs::exists(tenth));
  for (const auto& entry : fs::directory_iterator(file("masks") / "long")) {
    EXPECT_EQ(read_annotation(entry.path()).size(0), 64) << entry.path();
  }
}

TEST_F(EvalProgram, DamageKeepsTheScoresOfWhatIsFinished) {
  const at::Tensor one = draw_labels(64, 96, {{1, 10, 10, 30, 20}});
  write_davis_sequence(data(), "elk", {one, one, one});
  const fs::path damaged = data() / "JPEGImages" / "480p" / "duo" / "00002.png";
  std::ofstream(damaged) << "no picture";
  for (const char* jobs : {"1", "2"}) {
    const Finished finished = eval({"--config", model().string(), "--device", "cpu", "--jobs", jobs, "--json",
                                    file("scores.json").string(), "--csv", file("scores.csv").string(),
                                    "--report", file("scores.html").string(), "--zip",
                                    file("scores.zip").string(), "--masks", file("masks").string()});
    EXPECT_EQ(finished.exit_code, static_cast<int>(ExitCode::kInput));
    EXPECT_NE(finished.err.find(damaged.string()), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("of 3 sequences are finished"), std::string::npos) << finished.err;
    EXPECT_NE(finished.out.find("mean over"), std::string::npos) << finished.out;
    EXPECT_EQ(json("scores.json")["sequences"][0]["name"], "dog");
    EXPECT_EQ(json("scores.json")["unfinished"][0], "duo");
    EXPECT_NE(read_text(file("scores.csv")).find("dog"), std::string::npos);
    EXPECT_TRUE(fs::exists(file("scores.html")));
    EXPECT_FALSE(fs::exists(file("scores.zip")));
  }
}

TEST_F(EvalProgram, SaysWhatIsWrongByExitCode) {
  const auto code = [](ExitCode exit_code) { return static_cast<int>(exit_code); };
  EXPECT_EQ(run_program({"eval", "vots", "--root", "x"}).exit_code, code(ExitCode::kUsage));
  EXPECT_EQ(run_program({"eval", "davis"}).exit_code, code(ExitCode::kUsage));
  EXPECT_EQ(eval({"--results", file("none").string(), "--device", "cpu"}).exit_code, code(ExitCode::kUsage));
  EXPECT_EQ(eval({"--results", file("none").string()}).exit_code, code(ExitCode::kInput));
  EXPECT_EQ(eval({"--list", file("none.txt").string()}).exit_code, code(ExitCode::kInput));
  std::ofstream(file("taken")) << "a file";
  EXPECT_EQ(eval({"--json", (file("taken") / "scores.json").string()}).exit_code, code(ExitCode::kOutput));
  EXPECT_EQ(eval({"--json", file("").string()}).exit_code, code(ExitCode::kOutput));
  EXPECT_EQ(eval({"--config", model().string(), "--masks", "/dev/null/masks"}).exit_code,
            code(ExitCode::kOutput));
}

TEST(EvalHelp, FitsAScreenAndHasAnExample) {
  const Finished help = run_program({"eval", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  const auto lines = lines_of(help.out);
  EXPECT_LE(lines.size(), 24);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80) << line;
  EXPECT_NE(help.out.find("hqtrack eval davis --root DAVIS"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack
