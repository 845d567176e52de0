#include "eval/davis_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

void add_statistics(Json& json, const ScoreStatistics& j, const ScoreStatistics& f) {
  json["j_mean"] = j.mean;
  json["j_recall"] = j.recall;
  json["j_decay"] = j.decay;
  json["f_mean"] = f.mean;
  json["f_recall"] = f.recall;
  json["f_decay"] = f.decay;
  json["j_and_f"] = (j.mean + f.mean) / 2;
}

Json numbers_or_null(const std::vector<std::optional<double>>& values) {
  Json json = Json::array();
  for (const auto& value : values) json.push_back(number_or_null(value));
  return json;
}

Json to_json(const ObjectScores& object) {
  Json json{{"id", object.id}};
  if (!object.j.empty()) add_statistics(json, score_statistics(object.j), score_statistics(object.f));
  json["boundary_iou_mean"] = number_or_null(object.mean_boundary_iou());
  if (object.first_mask_j) json["first_mask_j"] = *object.first_mask_j;
  json["frames"] = object.frames;
  json["j"] = object.j;
  json["f"] = object.f;
  json["boundary_iou"] = numbers_or_null(object.boundary_iou);
  json["score"] = object.score;
  return json;
}

Json to_json(const SequenceScores& sequence) {
  const DavisMeans means = sequence.means();
  Json json{{"name", sequence.name},
            {"num_frames", sequence.num_frames},
            {"j_mean", means.j},
            {"f_mean", means.f},
            {"j_and_f", means.j_and_f()},
            {"boundary_iou_mean", number_or_null(sequence.boundary_iou())},
            {"frames_per_second", number_or_null(sequence.frames_per_second)},
            {"objects", Json::array()}};
  for (const ObjectScores& object : sequence.objects) json["objects"].push_back(to_json(object));
  return json;
}

/// NaN: nothing was scored.
std::string score_text(double value) {
  char text[32] = "      -";
  if (!std::isnan(value)) std::snprintf(text, sizeof text, "%7.4f", value);
  return text;
}

std::string scores_text(const DavisMeans& means) {
  return score_text(means.j) + " " + score_text(means.f) + " " + score_text(means.j_and_f());
}

std::string row(const std::string& name, const std::string& frames, const DavisMeans& means,
                const std::optional<double>& boundary_iou, const std::optional<double>& frames_per_second) {
  char rate[32] = "-", boundary[32] = "-", numbers[128];
  if (frames_per_second) std::snprintf(rate, sizeof rate, "%.1f", *frames_per_second);
  if (boundary_iou) std::snprintf(boundary, sizeof boundary, "%.4f", *boundary_iou);
  std::snprintf(numbers, sizeof numbers, " %7s %s %7s %9s\n", frames.c_str(), scores_text(means).c_str(),
                boundary, rate);
  std::string line = name;
  line.resize(std::max<size_t>(line.size(), 28), ' ');
  return line + numbers;
}

std::string share(int64_t part, int64_t whole) {
  char text[32] = "-";
  if (whole > 0)
    std::snprintf(text, sizeof text, "%.3f", static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

std::string kind_row(const std::string& name, const DavisMeans& means, const LostCounts& lost) {
  char line[160];
  std::snprintf(line, sizeof line, "%-20s %s %8lld %8s %8s\n", name.c_str(), scores_text(means).c_str(),
                static_cast<long long>(lost.absent), share(lost.rightly_said, lost.said).c_str(),
                share(lost.rightly_said, lost.absent).c_str());
  return line;
}

}  // namespace

std::string davis_json(const DavisScores& scores, const DavisRun& run) {
  Json json{{"program", "hqtrack"},        {"version", HQTRACK_VERSION}, {"kind", run.kind},
            {"config", run.config},        {"weights", run.weights},     {"device", run.device},
            {"settings", run.settings},    {"dataset", run.dataset},     {"list", run.list},
            {"unfinished", run.unfinished}};
  add_statistics(json, scores.j(), scores.f());
  json["boundary_iou_mean"] = number_or_null(scores.boundary_iou());
  json["pixel_accuracy"] = scores.pixel_accuracy();
  if (const auto first = scores.first_mask_j()) json["first_mask_j_mean"] = *first;
  json["frames_per_second"] = number_or_null(scores.frames_per_second());
  json["num_objects"] = scores.num_objects();
  const LostCounts lost = scores.lost();
  json["frames_absent"] = lost.absent;
  json["frames_lost"] = lost.said;
  json["frames_rightly_lost"] = lost.rightly_said;
  json["sequences"] = Json::array();
  for (const SequenceScores& sequence : scores.sequences) json["sequences"].push_back(to_json(sequence));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string davis_table_head() {
  return "sequence                      frames       J       F     J&F    bIoU  frames/s\n";
}

std::string davis_table_row(const SequenceScores& sequence) {
  std::string lines = row(sequence.name, std::to_string(sequence.num_frames), sequence.means(),
                          sequence.boundary_iou(), sequence.frames_per_second);
  if (sequence.objects.size() < 2) return lines;
  for (const ObjectScores& object : sequence.objects) {
    if (object.j.empty()) continue;
    lines += row("  object " + std::to_string(object.id), "", *object.means(), object.mean_boundary_iou(),
                 std::nullopt);
  }
  return lines;
}

std::string davis_table_of_groups(const std::string& what, const std::vector<SequenceScores>& groups,
                                  const DavisScores& scores) {
  std::string lines = what + std::string(20 - std::min<size_t>(what.size(), 19), ' ') +
                      "       J       F     J&F   absent   lost P   lost R\n";
  for (const SequenceScores& kind : groups) {
    lines += kind_row(kind.name, kind.means(), kind.lost());
  }
  return lines + kind_row("all", scores.means(), scores.lost());
}

std::string score_calibration_table(const ScoreCalibration& calibration, const ScoreMap& current) {
  std::string lines = "score         masks  mean score  mean J\n";
  char line[160];
  for (size_t i = 0; i < calibration.bins.size(); ++i) {
    const ScoreBin& bin = calibration.bins[i];
    if (bin.masks == 0) continue;
    std::snprintf(line, sizeof line, "%.1f to %.1f %8lld      %6.3f  %6.3f\n", 0.1 * static_cast<double>(i),
                  0.1 * static_cast<double>(i + 1), static_cast<long long>(bin.masks), bin.mean_score,
                  bin.mean_j);
    lines += line;
  }
  std::snprintf(line, sizeof line, "expected calibration error %.3f\n", calibration.expected_error);
  lines += line;
  if (!calibration.better) return lines;
  const ScoreMap better = current.then(*calibration.better);
  std::snprintf(line, sizeof line,
                "fitted to J: tracker.states.score_scale=%.3f tracker.states.score_offset=%.3f\n",
                better.scale, better.offset);
  return lines + line;
}

std::string davis_table_foot(const DavisScores& scores) {
  int64_t frames = 0;
  for (const SequenceScores& sequence : scores.sequences) frames += sequence.num_frames;
  std::string lines =
      row("mean over " + std::to_string(scores.num_objects()) + " objects", std::to_string(frames),
          scores.means(), scores.boundary_iou(), scores.frames_per_second());
  if (const auto first = scores.first_mask_j()) {
    lines += "first masks, made of boxes: J" + score_text(*first) + "\n";
  }
  return lines;
}

}  // namespace hqtrack
