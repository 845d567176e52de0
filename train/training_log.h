#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hqtrack {

/// One line of the log: means over the steps since the line before, or the scores of a validation.
struct TrainingRecord {
  int64_t step = 0;
  double minutes = 0;    // spent on training
  int64_t examples = 0;  // clips or pictures seen
  double loss = 0, auxiliary = 0, iou = 0, gradient_norm = 0, learning_rate = 0;
  std::vector<double> scores;  // of a validation; not empty: the five numbers above mean nothing
};

/// The log of a run as a CSV file with the columns step, minutes, examples, loss, auxiliary, iou,
/// gradient_norm, learning_rate and one for each score. Cells that a line has no value for are empty.
class TrainingLog {
 public:
  /// Continues an existing log after its last line at or before `step`; later lines, left by a run that was
  /// stopped after its last checkpoint, are dropped. Throws OutputError.
  TrainingLog(const std::filesystem::path& file, int64_t step, const std::vector<std::string>& score_names);
  /// Each line is on disk when this returns. Throws OutputError.
  void add(const TrainingRecord& record);
  const std::vector<TrainingRecord>& records() const { return records_; }

 private:
  std::filesystem::path file_;
  size_t num_scores_;
  std::vector<TrainingRecord> records_;
  std::ofstream out_;
};

/// Lines that are no records of a log with so many scores (the header, a line cut off) are left out. Empty
/// when there is no such file.
std::vector<TrainingRecord> read_training_log(const std::filesystem::path& file, size_t num_scores);

}  // namespace hqtrack
