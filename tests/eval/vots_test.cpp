#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "eval/evaluation_report.h"
#include "eval/vots_evaluation.h"
#include "eval/vots_folder_protocol.h"
#include "eval/vots_results.h"
#include "eval/vots_table.h"
#include "io/mask_reader.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using testing::repository_root;
using testing::TemporaryFolder;

fs::path fixture() { return repository_root() / "tests" / "data" / "vots"; }

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void write_lines(const fs::path& file, const std::vector<std::string>& lines) {
  fs::create_directories(file.parent_path());
  std::ofstream stream(file);
  for (const std::string& line : lines) stream << line << "\n";
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// A data set that is written for one test.
class VotsTest : public ::testing::Test {
 protected:
  void add_sequence(const std::string& name, const std::vector<std::string>& properties) {
    names_.push_back(name);
    write_lines(data() / "list.txt", names_);
    write_lines(data() / name / "sequence", properties);
  }
  fs::path data() const { return folder_.path() / "data"; }
  fs::path results() const { return folder_.path() / "results"; }
  const fs::path& folder() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  std::vector<std::string> names_;
};

TEST_F(VotsTest, ReadsObjectsByTheirFirstFrame) {
  add_sequence("duo", {"channels.color=color", "length=3", "width=20", "height=10", "fps=24"});
  write_lines(data() / "duo" / "groundtruth_a.txt", {"0", "1", "m1,1,2,2,0,4"});
  write_lines(data() / "duo" / "groundtruth_b.txt", {"m1,1,2,2,0,4"});
  write_lines(data() / "duo" / "groundtruth__ignore.txt", {"m5,5,2,2,0,4"});
  write_lines(data() / "duo" / "groundtruth.txt", {"this is not read"});
  const auto sequences = read_vots_dataset(data());
  ASSERT_EQ(sequences.size(), 1U);
  const VotsSequence& duo = sequences[0];
  ASSERT_EQ(duo.objects.size(), 2U);
  EXPECT_EQ(duo.objects[0].id, "b");
  EXPECT_EQ(duo.objects[1].id, "a");
  EXPECT_EQ(duo.objects[1].first_frame(), 2U);
  EXPECT_EQ(duo.objects[0].truth.size(), 3U) << "padded with the code 0";
  EXPECT_EQ(std::get<VotSpecial>(duo.objects[0].truth[2]).code, 0);
  EXPECT_EQ(duo.ignore.size(), 3U);
  EXPECT_EQ(duo.picture(9), data() / "duo" / "color" / "00000010.jpg");
  EXPECT_EQ(duo.result_stem(duo.objects[1]), "duo_a_001");
}

TEST_F(VotsTest, MeasuresPicturesWhereTheDescriptionIsSilent) {
  add_sequence("one", {"channels.color=pictures/%04d.png"});
  for (const char* name : {"0001.png", "0002.png"}) {
    write_image(data() / "one" / "pictures" / name, at::zeros({10, 20, 3}, at::kByte));
  }
  write_lines(data() / "one" / "groundtruth.txt", {"m1,1,2,2,0,4", "m1,1,2,2,0,4"});
  const VotsSequence one = read_vots_dataset(data()).at(0);
  EXPECT_EQ(one.length, 2);
  EXPECT_EQ(one.width, 20);
  EXPECT_EQ(one.height, 10);
  EXPECT_EQ(one.result_stem(one.objects[0]), "one_001");
}

TEST_F(VotsTest, SaysWhatIsWrongWithADataSet) {
  EXPECT_NE(error_of([&] { read_vots_dataset(data()); }).find("list.txt: expected the names"),
            std::string::npos);
  add_sequence("one", {"length=2", "width=0", "height=9"});
  EXPECT_NE(error_of([&] {
              read_vots_dataset(data());
            }).find("sequence: width: expected a number from 1 to 32768, found '0'"),
            std::string::npos);
  add_sequence("one", {"length=2", "width=9", "height=9", "channels.color=%s.jpg"});
  EXPECT_NE(error_of([&] { read_vots_dataset(data()); }).find("expected a pattern as color/%08d.jpg"),
            std::string::npos);
  add_sequence("one", {"length=2", "width=9", "height=9"});
  EXPECT_NE(error_of([&] { read_vots_dataset(data()); }).find("groundtruth.txt: expected a region a line"),
            std::string::npos);
  write_lines(data() / "one" / "groundtruth.txt", {"m1,1,2,2,0,4", "what"});
  EXPECT_NE(error_of([&] { read_vots_dataset(data()); }).find("groundtruth.txt:2: expected a region"),
            std::string::npos);
  write_lines(data() / "one" / "groundtruth.txt", {"1", "1", "1"});
  EXPECT_NE(error_of([&] { read_vots_dataset(data()); }).find("expected at most 2 lines"), std::string::npos);
  write_lines(data() / "one" / "groundtruth.txt", {"1", "0"});
  EXPECT_NE(error_of([&] { read_vots_dataset(data()); }).find("expected an object with a region"),
            std::string::npos);
}

TEST_F(VotsTest, NamesResultsThatAreMissingOrDamaged) {
  const auto sequences = read_vots_dataset(fixture() / "data");
  fs::copy(fixture() / "results" / "drifts", results(), fs::copy_options::recursive);
  const VotsScores whole = evaluate_vots_results(sequences, results());
  const fs::path gone = results() / "baseline" / "late" / "late_2_001.txt";
  fs::remove(gone);
  EXPECT_NE(error_of([&] {
              evaluate_vots_results(sequences, results());
            }).find("late_2_001.bin: expected the results"),
            std::string::npos);
  write_lines(gone, {"1", "m0,0,1,1,1"});
  EXPECT_NE(error_of([&] {
              evaluate_vots_results(sequences, results());
            }).find("expected 32 regions, one a frame, found 2"),
            std::string::npos);
  fs::remove(gone);
  std::ofstream(results() / "baseline" / "late" / "late_2_001.bin") << "\x01";
  std::vector<std::string> faults;
  const VotsScores rest =
      evaluate_vots_results(sequences, results(), [&](const std::string& fault) { faults.push_back(fault); });
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults[0].find("late_2_001.bin: expected more bytes"), std::string::npos) << faults[0];
  EXPECT_EQ(rest.sequences[0].measures.quality, whole.sequences[0].measures.quality);
  EXPECT_EQ(rest.sequences[2].objects[1].tracked, 0);
  EXPECT_LT(rest.measures.quality, whole.measures.quality);
}

TEST_F(VotsTest, TrajectoriesOfEveryKindComeBack) {
  const std::vector<uint8_t> row(200'000 / 100, 1);
  VotMask large{3, 4, 400, 400, std::vector<uint8_t>(160'000, 0)};
  std::fill(large.pixels.begin() + 80'000, large.pixels.begin() + 160'000, 1);  // runs beyond 65025
  const VotTrajectory trajectory = {VotSpecial{1},  VotRectangle{1, 2, 3.5, 4},
                                    VotPoint{5, 6}, VotPolygon{{{0, 0}, {4, 0}, {4, 4}}},
                                    large,          VotMask{}};
  write_vot_trajectory(folder() / "a.bin", trajectory);
  const VotTrajectory read = read_vot_trajectory(folder() / "a");
  ASSERT_EQ(read.size(), trajectory.size());
  for (size_t i = 0; i < read.size(); ++i) EXPECT_EQ(to_text(read[i]), to_text(trajectory[i])) << i;
  EXPECT_EQ(std::get<VotMask>(read[4]).pixels, large.pixels);
}

/// The truth itself, told by the frame's index.
class KnowingTracker : public SequenceTracker {
 public:
  Result start(const std::filesystem::path& picture, Frame frame,
               std::span<const ObjectPrompt> prompts) override {
    labels_ = at::zeros({frame.image.size(0), frame.image.size(1)}, at::kByte);
    return add(picture, prompts);
  }
  Result track(Frame /*frame*/) override { return {.label_mask = labels_, .scores = {{1, 0.5}}}; }
  Result add(const std::filesystem::path&, std::span<const ObjectPrompt> prompts) override {
    for (const ObjectPrompt& prompt : prompts) labels_.masked_fill_(prompt.mask, prompt.id);
    return {.label_mask = labels_, .scores = {}};
  }

 private:
  at::Tensor labels_;
};

TEST_F(VotsTest, ARunWritesWhatTheToolkitWouldAndGoesOn) {
  const auto sequences = read_vots_dataset(fixture() / "data");
  std::vector<std::unique_ptr<SequenceTracker>> trackers;
  for (int i = 0; i < 2; ++i) trackers.push_back(std::make_unique<KnowingTracker>());
  std::vector<std::string> said;
  const auto say = [&](const VotsSequence& sequence, bool was_there) {
    said.push_back(sequence.name + (was_there ? " there" : ""));
  };
  run_vots_dataset(sequences, trackers, results(), say);
  EXPECT_EQ(said, (std::vector<std::string>{"cross", "gone", "late"}));
  const VotTrajectory late = read_vot_trajectory(results() / "baseline" / "late" / "late_3_001");
  EXPECT_EQ(std::get<VotSpecial>(late[0]).code, 1);
  EXPECT_EQ(std::get<VotSpecial>(late[7]).code, 0) << "before it enters";
  EXPECT_EQ(to_text(late[8]), to_text(sequences[2].objects[2].truth[8]));
  EXPECT_EQ(lines_of(results() / "baseline" / "late" / "late_3_001_confidence.value")[7], "");
  EXPECT_EQ(lines_of(results() / "baseline" / "late" / "late_3_001_confidence.value")[8], "1.000000");
  EXPECT_EQ(lines_of(results() / "baseline" / "late" / "late_1_001_time.value").size(), 32U);

  fs::remove_all(results() / "baseline" / "gone");
  fs::remove(results() / "baseline" / "late" / "late_2_001.bin");
  said.clear();
  run_vots_dataset(sequences, trackers, results(), say);
  EXPECT_EQ(said, (std::vector<std::string>{"cross there", "gone", "late"}));
  EXPECT_TRUE(has_vots_results(results(), sequences[2]));
}

TEST_F(VotsTest, SpeaksTheFolderProtocol) {
  for (const char* name : {"1.png", "2.png", "3.png"})
    write_image(folder() / name, at::zeros({10, 20, 3}, at::kByte));
  write_lines(folder() / "frames_color.txt", {"1.png", "2.png", (folder() / "3.png").string()});
  write_lines(folder() / "query_obj0.txt", {"1", "m2,2,2,2,0,4", "key=value"});
  write_lines(folder() / "query_obj1.txt", {"0", "m8,2,2,2,0,4"});
  KnowingTracker tracker;
  VotsTracker objects(tracker, VotsTracker::Kind::kMask);
  run_vots_folder(folder(), objects);
  EXPECT_EQ(lines_of(folder() / "output_obj0.txt"),
            (std::vector<std::string>{"0", "m2,2,2,2,0,4", "m2,2,2,2,0,4"}));
  EXPECT_EQ(lines_of(folder() / "output_obj1.txt")[2], "m8,2,2,2,0,4");
  EXPECT_EQ(lines_of(folder() / "output_obj0_confidence.txt")[0], "");
  write_lines(folder() / "query_obj1.txt", {"3", "m8,2,2,2,0,4"});
  EXPECT_NE(error_of([&] {
              run_vots_folder(folder(), objects);
            }).find("query_obj1.txt:1: expected a frame from 0 to 2"),
            std::string::npos);
}

TEST_F(VotsTest, ComparesTwoRuns) {
  const auto sequences = read_vots_dataset(fixture() / "data");
  const auto scores = [&](const char* tracker) {
    return evaluate_vots_results(sequences, fixture() / "results" / tracker);
  };
  std::ofstream(folder() / "drifts.json") << vots_json(scores("drifts"), {});
  HtmlReport report = vots_report(scores("perfect"), sequences, fixture() / "results" / "perfect", {});
  compare_with(report, read_evaluation(folder() / "drifts.json", "vots"), "drifts");
  EXPECT_EQ(report.other_name, "drifts");
  EXPECT_EQ(report.measures[0].name, "Quality");
  EXPECT_DOUBLE_EQ(*report.measures[0].other, scores("drifts").measures.quality);
  EXPECT_DOUBLE_EQ(*report.sequences[2].objects[1].measures[0].other,
                   scores("drifts").sequences[2].objects[1].measures.quality);
  ASSERT_EQ(report.plots.size(), 2U);
  EXPECT_EQ(report.plots[0].curves.back().name, "drifts");
  EXPECT_EQ(report.plots[0].curves.back().points.size(), 100U);
  EXPECT_EQ(report.plots[1].curves.back().points.size(), 1U);
  EXPECT_NE(difference_table(report).find("against drifts"), std::string::npos);
  EXPECT_EQ(report.sequences[0].worst.at(0).object, "1");
  EXPECT_FALSE(report.sequences[0].worst.at(0).truth_jpeg.empty());
  EXPECT_NE(error_of([&] {
              read_evaluation(folder() / "drifts.json", "davis");
            }).find("expected the JSON of `hqtrack eval davis`"),
            std::string::npos);
  const std::string csv = to_csv(report);
  EXPECT_TRUE(
      csv.starts_with("scope,sequence,object,frames,Quality,Accuracy,Robustness,NRE,DRE,ADQ\r\nall,,,,0.97"));
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 1 + 3 + 6);
}

}  // namespace
}  // namespace hqtrack
