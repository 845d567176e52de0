#include "train/training_log.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <string>

#include "core/error.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr char kHeader[] = "step,minutes,examples,loss,auxiliary,iou,gradient_norm,learning_rate";
constexpr size_t kNumCounters = 3, kNumMeans = 5;  // columns

std::string to_line(const TrainingRecord& record, size_t num_scores) {
  std::ostringstream line;
  line.precision(6);
  line << record.step << ',' << record.minutes << ',' << record.examples << ',';
  if (record.scores.empty()) {
    line << record.loss << ',' << record.auxiliary << ',' << record.iou << ',' << record.gradient_norm << ','
         << record.learning_rate << std::string(num_scores, ',');
  } else {
    line << std::string(kNumMeans - 1, ',');
    for (const double score : record.scores) line << ',' << score;
  }
  return line.str();
}

/// Empty cells are empty options; nothing when it is no line of so many numbers.
std::optional<std::vector<std::optional<double>>> parse_cells(const std::string& line, size_t count) {
  std::vector<std::optional<double>> cells(count);
  const char* at = line.data();
  const char* end = at + line.size();
  for (size_t i = 0; i < count; ++i) {
    const char* comma = std::find(at, end, ',');
    if ((comma == end) != (i + 1 == count)) return std::nullopt;
    if (comma != at) {
      double value = 0;
      const auto [stop, error] = std::from_chars(at, comma, value);
      if (error != std::errc{} || stop != comma) return std::nullopt;
      cells[i] = value;
    }
    at = comma + 1;
  }
  return cells;
}

std::optional<TrainingRecord> parse_record(const std::string& line, size_t num_scores) {
  const auto cells = parse_cells(line, kNumCounters + kNumMeans + num_scores);
  if (!cells) return std::nullopt;
  const auto& c = *cells;
  const auto all = [&](size_t first, size_t count) {
    return std::all_of(c.begin() + first, c.begin() + first + count, [](const auto& cell) { return cell; });
  };
  if (!all(0, kNumCounters)) return std::nullopt;
  TrainingRecord record;
  record.step = static_cast<int64_t>(*c[0]);
  record.minutes = *c[1];
  record.examples = static_cast<int64_t>(*c[2]);
  if (num_scores > 0 && all(kNumCounters + kNumMeans, num_scores)) {
    for (size_t i = kNumCounters + kNumMeans; i < c.size(); ++i) record.scores.push_back(*c[i]);
  } else if (all(kNumCounters, kNumMeans)) {
    record.loss = *c[3];
    record.auxiliary = *c[4];
    record.iou = *c[5];
    record.gradient_norm = *c[6];
    record.learning_rate = *c[7];
  } else {
    return std::nullopt;
  }
  return record;
}

}  // namespace

std::vector<TrainingRecord> read_training_log(const fs::path& file, size_t num_scores) {
  std::ifstream in(file);
  std::vector<TrainingRecord> records;
  for (std::string line; std::getline(in, line);) {
    if (const auto record = parse_record(line, num_scores)) records.push_back(*record);
  }
  return records;
}

TrainingLog::TrainingLog(const fs::path& file, int64_t step, const std::vector<std::string>& score_names)
    : file_(file), num_scores_(score_names.size()), records_(read_training_log(file, num_scores_)) {
  std::erase_if(records_, [&](const TrainingRecord& record) { return record.step > step; });
  fs::path part = file;
  part += ".part";
  std::ofstream out(part);
  out << kHeader;
  for (const std::string& name : score_names) out << ',' << name;
  out << '\n';
  for (const TrainingRecord& record : records_) out << to_line(record, num_scores_) << '\n';
  out.close();
  std::error_code error;
  if (out) fs::rename(part, file, error);
  out_.open(file, std::ios::app);
  if (!out || error || !out_) throw OutputError(file.string() + ": cannot write the training log");
}

void TrainingLog::add(const TrainingRecord& record) {
  records_.push_back(record);
  out_ << to_line(record, num_scores_) << '\n' << std::flush;
  if (!out_) throw OutputError(file_.string() + ": cannot write the training log");
}

}  // namespace hqtrack
