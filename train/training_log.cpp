#include "train/training_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <string>

#include "core/error.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr char kHeader[] =
    "step,minutes,clips,loss,auxiliary,iou,gradient_norm,learning_rate,j_mean,f_mean,j_and_f";
constexpr size_t kNumColumns = 11;

std::string to_line(const TrainingRecord& record) {
  std::ostringstream line;
  line.precision(6);
  line << record.step << ',' << record.minutes << ',' << record.clips << ',';
  if (record.validation) {
    const ValidationScores& scores = *record.validation;
    line << ",,,,," << scores.j_mean << ',' << scores.f_mean << ',' << scores.j_and_f;
  } else {
    line << record.loss << ',' << record.auxiliary << ',' << record.iou << ',' << record.gradient_norm << ','
         << record.learning_rate << ",,,";
  }
  return line.str();
}

/// Empty cells are empty options; nothing when it is no line of numbers.
std::optional<std::array<std::optional<double>, kNumColumns>> parse_cells(const std::string& line) {
  std::array<std::optional<double>, kNumColumns> cells;
  const char* at = line.data();
  const char* end = at + line.size();
  for (size_t i = 0; i < kNumColumns; ++i) {
    const char* comma = std::find(at, end, ',');
    if ((comma == end) != (i + 1 == kNumColumns)) return std::nullopt;
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

std::optional<TrainingRecord> parse_record(const std::string& line) {
  const auto cells = parse_cells(line);
  if (!cells) return std::nullopt;
  const auto& c = *cells;
  if (!c[0] || !c[1] || !c[2]) return std::nullopt;
  TrainingRecord record;
  record.step = static_cast<int64_t>(*c[0]);
  record.minutes = *c[1];
  record.clips = static_cast<int64_t>(*c[2]);
  if (c[8] && c[9] && c[10]) {
    record.validation = ValidationScores{*c[8], *c[9], *c[10]};
  } else if (c[3] && c[4] && c[5] && c[6] && c[7]) {
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

std::vector<TrainingRecord> read_training_log(const fs::path& file) {
  std::ifstream in(file);
  std::vector<TrainingRecord> records;
  for (std::string line; std::getline(in, line);) {
    if (const auto record = parse_record(line)) records.push_back(*record);
  }
  return records;
}

TrainingLog::TrainingLog(const fs::path& file, int64_t step)
    : file_(file), records_(read_training_log(file)) {
  std::erase_if(records_, [&](const TrainingRecord& record) { return record.step > step; });
  fs::path part = file;
  part += ".part";
  std::ofstream out(part);
  out << kHeader << '\n';
  for (const TrainingRecord& record : records_) out << to_line(record) << '\n';
  out.close();
  std::error_code error;
  if (out) fs::rename(part, file, error);
  out_.open(file, std::ios::app);
  if (!out || error || !out_) throw OutputError(file.string() + ": cannot write the training log");
}

void TrainingLog::add(const TrainingRecord& record) {
  records_.push_back(record);
  out_ << to_line(record) << '\n' << std::flush;
  if (!out_) throw OutputError(file_.string() + ": cannot write the training log");
}

}  // namespace hqtrack
