#include "train/training_log.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "train/plot.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

const std::vector<std::string> kScores = {"j_mean", "f_mean", "j_and_f"};

TrainingRecord record_at(int64_t step) {
  return {
      step, 0.5 * static_cast<double>(step), 4 * step, 1.0 / static_cast<double>(step), 0.25, 0.5, 1.5, 1e-3,
      {}};
}

TrainingRecord scores_at(int64_t step) {
  TrainingRecord record{step, 0.5 * static_cast<double>(step), 4 * step, 0, 0, 0, 0, 0, {}};
  record.scores = {0.8, 0.9, 0.85};
  return record;
}

std::string text_of(const fs::path& file) {
  const auto bytes = testing::read_bytes(file);
  return {bytes.begin(), bytes.end()};
}

TEST(TrainingLog, WritesOneLineARecord) {
  const testing::TemporaryFolder folder;
  TrainingLog log(folder.path() / "log.csv", 0, kScores);
  log.add(record_at(20));
  log.add(scores_at(20));
  EXPECT_EQ(text_of(folder.path() / "log.csv"),
            "step,minutes,examples,loss,auxiliary,iou,gradient_norm,learning_rate,j_mean,f_mean,j_and_f\n"
            "20,10,80,0.05,0.25,0.5,1.5,0.001,,,\n"
            "20,10,80,,,,,,0.8,0.9,0.85\n");
}

TEST(TrainingLog, ContinuesAtTheStepOfTheCheckpoint) {
  const testing::TemporaryFolder folder;
  const fs::path file = folder.path() / "log.csv";
  {
    TrainingLog log(file, 0, kScores);
    for (const int64_t step : {20, 40, 60}) log.add(record_at(step));
  }
  TrainingLog log(file, 40, kScores);
  EXPECT_EQ(log.records().size(), 2u);
  log.add(scores_at(45));
  const auto records = read_training_log(file, 3);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[1].step, 40);
  EXPECT_EQ(records[1].loss, 0.025);
  EXPECT_EQ(records[2].scores, (std::vector<double>{0.8, 0.9, 0.85}));
}

TEST(TrainingLog, PassesOverLinesThatAreNoRecords) {
  const testing::TemporaryFolder folder;
  const fs::path file = folder.path() / "log.csv";
  const std::string text =
      "step,minutes,clips\n20,10,80,0.05,0.25,0.5,1.5,0.001,,,\n40,20,160,0.0\nx,1,2,3,4,5,6,7,,,\n"
      "60,1,2,,,,,,,,\n80,1,2,3,4,5,6,7,,,,9\n";
  testing::write_bytes(file, {text.begin(), text.end()});
  EXPECT_EQ(read_training_log(file, 3).size(), 1u);
  EXPECT_TRUE(read_training_log(folder.path() / "none.csv", 3).empty());
}

TEST(TrainingLog, SaysWhenItCannotBeWritten) {
  const testing::TemporaryFolder folder;
  EXPECT_THROW(TrainingLog(folder.path() / "no" / "log.csv", 0, {}), OutputError);
}

TEST(TrainingPlot, DrawsEverySeries) {
  const std::string svg =
      training_plot_svg(kScores, {record_at(20), record_at(40), scores_at(40), record_at(60)});
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("j_and_f"), std::string::npos);
  EXPECT_EQ(std::count(svg.begin(), svg.end(), '<'), std::count(svg.begin(), svg.end(), '>'));
  size_t lines = 0, dots = 0;
  for (size_t at = 0; (at = svg.find("<polyline", at)) != std::string::npos; ++at) ++lines;
  for (size_t at = 0; (at = svg.find("<circle", at)) != std::string::npos; ++at) ++dots;
  EXPECT_EQ(lines, 5u);
  EXPECT_EQ(dots, 3u);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(TrainingPlot, OfAnEmptyLogIsAnEmptyDiagram) {
  const std::string svg = training_plot_svg({}, {});
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack
