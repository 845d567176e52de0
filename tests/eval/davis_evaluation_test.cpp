#include "eval/davis_evaluation.h"

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stop_token>

#include "core/error.h"
#include "eval/davis_report.h"
#include "eval/evaluation_report.h"
#include "tests/eval/davis_folder.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using testing::draw_labels;
using testing::LabelledBox;
using testing::TemporaryFolder;
using testing::write_davis_sequence;

constexpr int64_t kHeight = 30, kWidth = 50;

at::Tensor labels(const std::vector<LabelledBox>& boxes) { return draw_labels(kHeight, kWidth, boxes); }

/// What a tracker was told.
struct Told {
  int num_starts = 0;
  std::vector<ObjectPrompt> prompts, added;  // of the last start; since then
};

/// Gives prepared masks; `masks[i]` belongs to frame i. Remembers what it was given.
class PreparedTracker : public SequenceTracker {
 public:
  PreparedTracker(std::vector<at::Tensor> masks, Told& told) : masks_(std::move(masks)), told_(told) {}

  Result start(const std::filesystem::path&, Frame frame, std::span<const ObjectPrompt> prompts) override {
    ++told_.num_starts;
    EXPECT_EQ(frame.index, 0);
    told_.prompts.assign(prompts.begin(), prompts.end());
    told_.added.clear();
    return result(0);
  }
  Result track(Frame frame) override {
    EXPECT_EQ(frame.image[0][0][0].item<int64_t>(), frame.index) << "the picture of another frame";
    return result(last_ = frame.index);
  }
  Result add(const std::filesystem::path&, std::span<const ObjectPrompt> prompts) override {
    told_.added.insert(told_.added.end(), prompts.begin(), prompts.end());
    return result(last_);
  }

  std::map<int64_t, double> own_scores;

 private:
  Result result(int64_t index) const {
    return {.label_mask = masks_.at(static_cast<size_t>(index)), .scores = own_scores};
  }

  std::vector<at::Tensor> masks_;
  Told& told_;
  int64_t last_ = 0;
};

using Trackers = std::vector<std::unique_ptr<SequenceTracker>>;

class DavisEvaluation : public ::testing::Test {
 protected:
  const fs::path& root() const { return folder_.path(); }
  void add_sequence(const std::string& name, const std::vector<at::Tensor>& annotations) const {
    write_davis_sequence(root(), name, annotations);
  }
  DavisScores track(const std::vector<at::Tensor>& masks, const fs::path& masks_folder = {}) const {
    return evaluate_trackers(read_davis_dataset(root()), one_tracker(masks), {.masks_folder = masks_folder});
  }
  Trackers one_tracker(const std::vector<at::Tensor>& masks) const {
    Trackers trackers;
    trackers.push_back(std::make_unique<PreparedTracker>(masks, told_));
    return trackers;
  }
  const Told& told() const { return told_; }
  /// The message of the MediaError that `run` ends with.
  template <class Run>
  static std::string error_of(Run run) {
    try {
      run();
    } catch (const MediaError& e) {
      return e.what();
    }
    return "no error";
  }

 private:
  TemporaryFolder folder_;
  mutable Told told_;
};

TEST_F(DavisEvaluation, LeavesOutTheFirstAndTheLastFrame) {
  const at::Tensor box = labels({{1, 5, 5, 10, 10}}), wrong = labels({{1, 30, 15, 10, 10}});
  add_sequence("dog", {box, box, box, box});
  const DavisScores right = track({wrong, box, box, wrong});
  ASSERT_EQ(right.sequences.size(), 1);
  EXPECT_EQ(right.sequences[0].num_frames, 4);
  EXPECT_EQ(right.sequences[0].objects.at(0).j, (std::vector<double>{1, 1}));
  EXPECT_EQ(right.means().j_and_f(), 1);
  EXPECT_EQ(track({box, wrong, box, box}).means().j, 0.5);
}

TEST_F(DavisEvaluation, ScoresEachObjectByItself) {
  // Ids with a gap; the second one is missed by half.
  const at::Tensor truth = labels({{2, 3, 3, 10, 10}, {5, 20, 10, 8, 10}});
  const at::Tensor result = labels({{2, 3, 3, 10, 10}, {5, 20, 10, 4, 10}});
  add_sequence("duo", {truth, truth, truth});
  const DavisScores scores = track({result, result, result});
  const auto& objects = scores.sequences.at(0).objects;
  ASSERT_EQ(objects.size(), 2);
  EXPECT_EQ(objects[0].id, 2);
  EXPECT_EQ(objects[0].means()->j_and_f(), 1);
  EXPECT_EQ(objects[1].id, 5);
  EXPECT_DOUBLE_EQ(objects[1].means()->j, 0.5);
  EXPECT_DOUBLE_EQ(objects[1].means()->f, contour_accuracy_f(truth.eq(5), result.eq(5)));
  EXPECT_DOUBLE_EQ(scores.sequences[0].means().j, 0.75);
  EXPECT_DOUBLE_EQ(scores.pixel_accuracy(), 1 - 40.0 / (kHeight * kWidth));  // 4 x 10 of one frame
}

TEST_F(DavisEvaluation, MeanIsOverObjectsNotOverSequences) {
  const at::Tensor one = labels({{1, 5, 5, 10, 10}});
  const at::Tensor three = labels({{1, 5, 5, 10, 10}, {2, 20, 5, 5, 5}, {3, 30, 5, 5, 5}});
  add_sequence("a", {one, one, one});
  add_sequence("b", {three, three, three});
  const DavisScores scores = track({one, one, one});
  EXPECT_DOUBLE_EQ(scores.sequences[0].means().j, 1);
  EXPECT_DOUBLE_EQ(scores.sequences[1].means().j, 1.0 / 3);
  EXPECT_DOUBLE_EQ(scores.j().mean, 2.0 / 4);
  EXPECT_DOUBLE_EQ(scores.j().recall, 2.0 / 4);
  EXPECT_EQ(scores.num_objects(), 4);
}

TEST_F(DavisEvaluation, CountsWhatIsLostAndGroupsByKind) {
  const at::Tensor here = labels({{1, 5, 5, 10, 10}}), gone = labels({});
  add_sequence("fast-1", {here, here, gone, gone, here, here});
  add_sequence("fast-2", {here, here, here, here, here, here});
  add_sequence("car-shadow", {here, here, here, here, here, here});
  const DavisScores scores = track({here, gone, gone, here, here, here});
  EXPECT_EQ(scores.lost().absent, 2);
  EXPECT_EQ(scores.lost().said, 6);  // frames 1 and 2 of each
  EXPECT_EQ(scores.lost().rightly_said, 1);
  const std::vector<SequenceScores> kinds = scores.by_kind();
  ASSERT_EQ(kinds.size(), 2U);
  EXPECT_EQ(kinds[0].name, "car-shadow");
  EXPECT_EQ(kinds[1].name, "fast");
  EXPECT_EQ(kinds[1].objects.size(), 2U);
  EXPECT_EQ(kinds[1].num_frames, 12);
  EXPECT_NEAR(kinds[1].means().j, (0.5 + 0.5) / 2, 1e-9);
  const std::string table = davis_table_of_groups("kind", kinds, scores);
  EXPECT_NE(table.find("   0.250    0.500"), std::string::npos) << table;  // of fast: 1 of 4, 1 of 2
  EXPECT_TRUE(table.starts_with("kind                       J ")) << table;

  const std::vector<SequenceScores> groups =
      scores.by_attribute({{"fast-1", {"FM", "AC"}}, {"fast-2", {"FM"}}, {"another", {"OV"}}});
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].name, "AC");
  EXPECT_EQ(groups[0].objects.size(), 1U);
  EXPECT_EQ(groups[1].name, "FM");
  EXPECT_EQ(groups[1].objects.size(), 2U);
}

TEST_F(DavisEvaluation, ComparesTheTrackersOwnScoresWithJ) {
  const at::Tensor truth = labels({{1, 3, 3, 10, 10}, {2, 20, 10, 8, 10}, {3, 40, 10, 8, 10}});
  const at::Tensor result = labels({{1, 3, 3, 10, 10}, {2, 20, 10, 4, 10}});  // J 1, 0.5, and none
  add_sequence("trio", {truth, truth, truth, truth});
  Told told;
  auto tracker = std::make_unique<PreparedTracker>(std::vector{result, result, result, result}, told);
  tracker->own_scores = {{1, 0.97}, {2, 0.75}};
  Trackers trackers;
  trackers.push_back(std::move(tracker));
  const DavisScores scores = evaluate_trackers(read_davis_dataset(root()), trackers);
  EXPECT_EQ(scores.sequences[0].objects[1].score, (std::vector<double>{0.75, 0.75}));
  EXPECT_EQ(scores.sequences[0].objects[2].score, (std::vector<double>{0, 0}));
  const ScoreCalibration calibration = score_calibration(scores);
  const auto& bins = calibration.bins;
  EXPECT_EQ(bins[7].masks, 2);
  EXPECT_DOUBLE_EQ(bins[7].mean_score, 0.75);
  EXPECT_DOUBLE_EQ(bins[7].mean_j, 0.5);
  EXPECT_EQ(bins[9].masks, 2);
  EXPECT_EQ(bins[0].masks, 0) << "where no mask is given there is nothing to be sure of";
  EXPECT_NEAR(calibration.expected_error, (0.25 + 0.03) / 2, 1e-9);
  const std::string table = score_calibration_table(calibration, {});
  EXPECT_NE(table.find("0.7 to 0.8        2       0.750   0.500\n"), std::string::npos) << table;
  EXPECT_NE(table.find("expected calibration error 0.140\n"), std::string::npos) << table;
}

DavisScores own_scores(std::vector<double> score, std::vector<double> j) {
  return {{{.name = "a",
            .num_frames = 9,
            .objects = {{.id = 1, .j = std::move(j), .f = {}, .score = std::move(score)}}}}};
}

TEST(ScoreCalibration, FindsTheMapThatTheOverlapsWereMadeWith) {
  const ScoreMap truth{.scale = 1.5, .offset = -0.7};
  const std::vector<double> score{0.55, 0.7, 0.8, 0.9, 0.95, 0.99};
  std::vector<double> j;
  for (const double p : score) j.push_back(truth(p));
  const auto found = score_calibration(own_scores(score, j)).better;
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->scale, truth.scale, 1e-6);
  EXPECT_NEAR(found->offset, truth.offset, 1e-6);
  const std::string table = score_calibration_table(score_calibration(own_scores(score, j)), {2.0, 1.0});
  EXPECT_NE(table.find("score_scale=3.000 tracker.states.score_offset=0.800"), std::string::npos) << table;
}

TEST(ScoreCalibration, DoesNotFitWhatTheMasksDoNotTell) {
  EXPECT_FALSE(score_calibration(own_scores({}, {})).better);
  EXPECT_FALSE(score_calibration(own_scores({0.9, 0.9}, {0.5, 0.7})).better) << "one score only";
  EXPECT_FALSE(score_calibration(own_scores({0, 0}, {1, 1})).better) << "no masks";
  EXPECT_FALSE(score_calibration(own_scores({0.6, 0.7, 0.9}, {1, 1, 1})).better) << "no finite map";
}

TEST_F(DavisEvaluation, StartsEachSequenceWithTheObjectsOfItsFirstAnnotation) {
  const at::Tensor first = labels({{1, 5, 5, 10, 10}, {255, 0, 0, 50, 2}});  // 255 is void
  const at::Tensor later = labels({{1, 5, 5, 10, 10}, {7, 30, 5, 10, 10}});
  add_sequence("a", {first, later, later});
  add_sequence("b", {first, later, later});
  const DavisScores scores = track({later, later, later});
  EXPECT_EQ(told().num_starts, 2);
  ASSERT_EQ(told().prompts.size(), 1U);
  EXPECT_TRUE(told().prompts[0].mask.equal(labels({{1, 5, 5, 10, 10}}).ne(0)));
  ASSERT_EQ(scores.num_objects(), 2) << "object 7 came later and counts as background";
  EXPECT_EQ(scores.means().j_and_f(), 1);
  EXPECT_GT(scores.frames_per_second().value(), 0);
}

TEST_F(DavisEvaluation, WrittenMasksScoreTheSame) {
  const at::Tensor truth = labels({{1, 5, 5, 10, 10}, {2, 30, 5, 10, 10}});
  const at::Tensor result = labels({{1, 6, 7, 10, 10}, {2, 28, 5, 10, 12}});
  add_sequence("duo", {truth, truth, truth, truth});
  const TemporaryFolder masks;
  const DavisScores tracked = track({truth, result, truth, result}, masks.path());
  EXPECT_TRUE(read_label_mask(masks.path() / "duo/00000.png").equal(truth));
  EXPECT_TRUE(read_label_mask(masks.path() / "duo/00003.png").equal(result));

  std::vector<std::string> reported;
  const DavisScores scored =
      evaluate_results(read_davis_dataset(root()), masks.path(),
                       {.on_sequence = [&](const SequenceScores& s) { reported.push_back(s.name); }});
  ASSERT_EQ(scored.num_objects(), 2);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(scored.sequences[0].objects[i].j, tracked.sequences[0].objects[i].j);
    EXPECT_EQ(scored.sequences[0].objects[i].f, tracked.sequences[0].objects[i].f);
  }
  EXPECT_LT(scored.means().j, 1);
  EXPECT_EQ(reported, std::vector<std::string>{"duo"});
  EXPECT_FALSE(scored.frames_per_second().has_value());
  EXPECT_FALSE(scored.first_mask_j().has_value());
}

TEST_F(DavisEvaluation, ObjectsOfYoutubeVosEnterWhenTheyAreFirstShown) {
  const at::Tensor one = labels({{1, 5, 5, 10, 10}});
  const at::Tensor both = labels({{1, 6, 5, 10, 10}, {3, 30, 5, 10, 10}});
  add_sequence("duo", {one, both, both, both});
  const auto sequences = read_davis_dataset(root(), {}, VosRules::kYoutubeVos);
  const at::Tensor half = labels({{1, 5, 5, 10, 5}});  // what is made of the first box
  const DavisScores scores =
      evaluate_trackers(sequences, one_tracker({half, both, both, one}), {.from_boxes = true});
  ASSERT_EQ(told().prompts.size(), 1U);
  ASSERT_EQ(told().added.size(), 1U);
  EXPECT_EQ(told().added[0].id, 3);
  EXPECT_EQ(told().added[0].box->x0, 30);
  EXPECT_EQ(told().added[0].box->y1, 15);
  const auto& objects = scores.sequences[0].objects;
  ASSERT_EQ(objects.size(), 2U);
  EXPECT_EQ(objects[0].frames, (std::vector<size_t>{1, 2, 3}));
  EXPECT_EQ(objects[1].frames, (std::vector<size_t>{2, 3})) << "not in the frame that shows it first";
  EXPECT_EQ(objects[1].j, (std::vector<double>{1, 0}));
  EXPECT_EQ(objects[0].first_mask_j, 0.5);
  EXPECT_EQ(objects[1].first_mask_j, 1.0);
  EXPECT_EQ(nlohmann::json::parse(davis_json(scores, {}))["first_mask_j_mean"], 0.75);
  EXPECT_NE(davis_table_foot(scores).find("first masks, made of boxes: J 0.7500"), std::string::npos)
      << davis_table_foot(scores);
  ASSERT_FALSE(scores.sequences[0].worst.empty());
  EXPECT_EQ(scores.sequences[0].worst[0].position, 3U);
  EXPECT_EQ(scores.sequences[0].worst[0].id, 3);
}

TEST_F(DavisEvaluation, AnObjectThatIsNeverScoredDoesNotCount) {
  const at::Tensor one = labels({{1, 5, 5, 10, 10}});
  const at::Tensor both = labels({{1, 5, 5, 10, 10}, {3, 30, 5, 10, 10}});
  add_sequence("duo", {one, one, both});
  const auto sequences = read_davis_dataset(root(), {}, VosRules::kYoutubeVos);
  const DavisScores scores = evaluate_trackers(sequences, one_tracker({one, one, both}));
  EXPECT_FALSE(scores.sequences[0].objects[1].means());
  EXPECT_EQ(scores.means().j_and_f(), 1);
  EXPECT_EQ(nlohmann::json::parse(davis_json(scores, {}))["j_and_f"], 1.0);
}

TEST_F(DavisEvaluation, WithoutScoredFramesThereAreNoNumbers) {
  const at::Tensor one = labels({{1, 5, 5, 10, 10}});
  add_sequence("solo", {one});
  const auto sequences = read_davis_dataset(root(), {}, VosRules::kYoutubeVos);
  const DavisScores scores = evaluate_trackers(sequences, one_tracker({one}));
  EXPECT_TRUE(std::isnan(scores.means().j));
  EXPECT_TRUE(nlohmann::json::parse(davis_json(scores, {}))["j_and_f"].is_null());
  EXPECT_EQ(davis_table_row(scores.sequences[0]).find("nan"), std::string::npos);
  EXPECT_EQ(davis_table_foot(scores).find_first_of("0"), std::string::npos) << davis_table_foot(scores);
  EXPECT_FALSE(davis_report(scores, sequences, {}).measures[0].value);
}

TEST_F(DavisEvaluation, StopsWhenAskedTo) {
  const at::Tensor one = labels({{1, 5, 5, 10, 10}});
  add_sequence("dog", {one, one, one, one});
  std::stop_source source;
  source.request_stop();
  const auto sequences = read_davis_dataset(root(), {});
  EXPECT_THROW(evaluate_trackers(sequences, one_tracker({one, one, one, one}), {.stop = source.get_token()}),
               Interrupted);
}

TEST_F(DavisEvaluation, SeveralTrackersScoreAsOne) {
  const at::Tensor truth = labels({{1, 5, 5, 10, 10}}), result = labels({{1, 7, 5, 10, 10}});
  std::vector<std::string> names;
  for (int i = 0; i < 7; ++i) {
    names.push_back("s" + std::to_string(i));
    add_sequence(names.back(), {truth, truth, i % 2 == 0 ? truth : result, truth});
  }
  const std::vector<at::Tensor> masks{result, truth, result, result};
  const DavisScores expected = track(masks);
  std::vector<Told> told(3);
  Trackers trackers;
  for (Told& own : told) trackers.push_back(std::make_unique<PreparedTracker>(masks, own));
  std::vector<std::string> reported;
  const DavisScores scores =
      evaluate_trackers(read_davis_dataset(root()), trackers,
                        {.on_sequence = [&](const SequenceScores& s) { reported.push_back(s.name); }});
  EXPECT_EQ(reported, names) << "in their order, whichever is done first";
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(scores.sequences[i].objects[0].j, expected.sequences[i].objects[0].j);
  }
}

TEST_F(DavisEvaluation, MayCountFaultyResultsAsEmpty) {
  const at::Tensor box = labels({{1, 5, 5, 10, 10}});
  add_sequence("dog", {box, box, box, box});
  const TemporaryFolder results;
  write_label_mask(results.path() / "dog" / "00001.png", box);
  std::vector<std::string> faults;
  const DavisScores scores =
      evaluate_results(read_davis_dataset(root()), results.path(),
                       {.on_fault = [&](const std::string& fault) { faults.push_back(fault); }});
  EXPECT_EQ(scores.sequences[0].objects[0].j, (std::vector<double>{1, 0}));
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults[0].find("dog/00002.png: expected a mask"), std::string::npos) << faults[0];
}

TEST_F(DavisEvaluation, RejectsResultsThatAreNotOfThisDataSet) {
  const at::Tensor box = labels({{1, 5, 5, 10, 10}});
  add_sequence("dog", {box, box, box, box});
  const auto sequences = read_davis_dataset(root());
  const TemporaryFolder results;
  fs::create_directories(results.path() / "dog");
  const fs::path second = results.path() / "dog/00001.png", third = results.path() / "dog/00002.png";
  const auto error = [&] { return error_of([&] { evaluate_results(sequences, results.path()); }); };

  write_label_mask(second, box);
  EXPECT_NE(error().find("00002.png: expected a mask"), std::string::npos);
  write_label_mask(third, box.slice(1, 0, 40).contiguous());
  EXPECT_NE(error().find("00002.png: expected 50x30 pixels"), std::string::npos);
  write_label_mask(third, labels({{1, 5, 5, 10, 10}, {4, 0, 0, 2, 2}}));
  EXPECT_NE(error().find("found id 4"), std::string::npos);
  write_label_mask(third, box);
  EXPECT_EQ(error(), "no error");
}

TEST_F(DavisEvaluation, RejectsSizesThatChange) {
  const at::Tensor box = labels({{1, 5, 5, 10, 10}}), small = box.slice(1, 0, 40).contiguous();
  add_sequence("dog", {box, box, box});
  write_label_mask(root() / "Annotations/480p/dog/00001.png", small);
  EXPECT_NE(error_of([&] {
              track({box, box, box});
            }).find("Annotations/480p/dog/00001.png: expected 50x30"),
            std::string::npos);
  add_sequence("dog", {box, box, box});
  write_label_mask(root() / "Annotations/480p/dog/00000.png", small);
  EXPECT_NE(error_of([&] { track({box, box, box}); }).find("00000.png: expected 50x30"), std::string::npos);
  add_sequence("dog", {box, small, box});
  EXPECT_NE(error_of([&] {
              track({box, box, box});
            }).find("JPEGImages/480p/dog/00001.png: expected 50x30"),
            std::string::npos);
}

TEST_F(DavisEvaluation, RejectsAFirstFrameWithoutObjects) {
  const at::Tensor none = labels({}), box = labels({{1, 5, 5, 10, 10}});
  add_sequence("dog", {none, box, box});
  EXPECT_NE(error_of([&] {
              track({box, box, box});
            }).find("00000.png: expected the objects"),
            std::string::npos);
}

TEST_F(DavisEvaluation, RejectsADamagedPicture) {
  const at::Tensor box = labels({{1, 5, 5, 10, 10}});
  add_sequence("dog", {box, box, box});
  std::ofstream(root() / "JPEGImages/480p/dog/00001.png", std::ios::trunc) << "no picture";
  EXPECT_NE(error_of([&] { track({box, box, box}); }).find("00001.png"), std::string::npos);
}

DavisScores example_scores() {
  return {{{.name = "dog",
            .num_frames = 4,
            .objects = {{.id = 1, .j = {0.75, 0.25}, .f = {1, 0.5}}},
            .frames_per_second = 20},
           {.name = "duo",
            .num_frames = 7,
            .objects = {{.id = 2, .j = {1}, .f = {1}}, {.id = 9, .j = {0}, .f = {0.5}}},
            .frames_per_second = 10}}};
}

TEST(DavisReport, JsonHoldsAllScores) {
  const auto json = nlohmann::json::parse(davis_json(
      example_scores(), {.config = "nano", .weights = "w", .device = "cpu", .dataset = "D", .list = "L"}));
  EXPECT_EQ(json["config"], "nano");
  EXPECT_FALSE(json["version"].get<std::string>().empty());
  EXPECT_DOUBLE_EQ(json["j_mean"], 0.5);
  EXPECT_DOUBLE_EQ(json["f_mean"], 0.75);
  EXPECT_DOUBLE_EQ(json["j_and_f"], 0.625);
  EXPECT_DOUBLE_EQ(json["frames_per_second"].get<double>(), 9 / (3 / 20.0 + 6 / 10.0));
  EXPECT_EQ(json["num_objects"], 3);
  ASSERT_EQ(json["sequences"].size(), 2);
  EXPECT_EQ(json["sequences"][1]["name"], "duo");
  EXPECT_DOUBLE_EQ(json["sequences"][1]["j_and_f"], 0.625);
  EXPECT_EQ(json["sequences"][1]["objects"][1]["id"], 9);
  EXPECT_DOUBLE_EQ(json["sequences"][1]["objects"][1]["f_mean"], 0.5);
}

TEST(DavisReport, JsonHasNoSpeedOfResults) {
  DavisScores scores = example_scores();
  for (SequenceScores& sequence : scores.sequences) sequence.frames_per_second.reset();
  const auto json = nlohmann::json::parse(davis_json(scores, {}));
  EXPECT_TRUE(json["frames_per_second"].is_null());
  EXPECT_TRUE(json["sequences"][0]["frames_per_second"].is_null());
}

TEST(DavisReport, TableLinesUpAndNamesObjectsOfASequenceWithSeveral) {
  const DavisScores scores = example_scores();
  const std::string head = davis_table_head(), dog = davis_table_row(scores.sequences[0]),
                    duo = davis_table_row(scores.sequences[1]), foot = davis_table_foot(scores);
  EXPECT_EQ(dog.size(), head.size());
  EXPECT_EQ(foot.size(), head.size());
  EXPECT_EQ(duo.size(), 3 * head.size());
  EXPECT_NE(dog.find("0.5000  0.7500  0.6250       -      20.0"), std::string::npos) << dog;
  EXPECT_NE(duo.find("  object 9"), std::string::npos);
  EXPECT_NE(foot.find("mean over 3 objects"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack
