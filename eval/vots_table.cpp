#include "eval/vots_table.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace hqtrack {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

void add_measures(Json& json, const VotsMeasures& measures) {
  json["quality"] = measures.quality;
  json["accuracy"] = measures.accuracy;
  json["robustness"] = number_or_null(measures.robustness);
  json["nre"] = number_or_null(measures.nre);
  json["dre"] = number_or_null(measures.dre);
  json["adq"] = number_or_null(measures.adq);
  json["success"] = measures.success ? Json(*measures.success) : Json(nullptr);
}

Json to_json(const VotsObjectScores& object) {
  Json json{{"id", object.id}};
  add_measures(json, object.measures);
  json["tracked"] = object.tracked;
  json["failed"] = object.failed;
  json["missed"] = object.missed;
  json["hallucinated"] = object.hallucinated;
  json["noticed"] = object.noticed;
  json["overlaps"] = Json::array();
  for (const auto& overlap : object.overlaps) json["overlaps"].push_back(number_or_null(overlap));
  return json;
}

Json to_json(const VotsSequenceScores& sequence) {
  Json json{{"name", sequence.name}, {"length", sequence.length}};
  add_measures(json, sequence.measures);
  json["frames_per_second"] = number_or_null(sequence.frames_per_second);
  json["objects"] = Json::array();
  for (const VotsObjectScores& object : sequence.objects) json["objects"].push_back(to_json(object));
  return json;
}

std::string number(const std::optional<double>& value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value.value_or(0.0));
  return value ? text : "-";
}

std::string row(const std::string& name, const std::string& frames, const VotsMeasures& measures,
                const std::optional<double>& rate) {
  constexpr const char* kFormat = "%.4f";
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, " %7s %7.4f %7.4f %7s %7s %7s %7s %9s\n", frames.c_str(),
                measures.quality, measures.accuracy, number(measures.robustness, kFormat).c_str(),
                number(measures.nre, kFormat).c_str(), number(measures.dre, kFormat).c_str(),
                number(measures.adq, kFormat).c_str(), number(rate, "%.1f").c_str());
  std::string line = name;
  line.resize(std::max<size_t>(line.size(), 20), ' ');
  return line + numbers;
}

}  // namespace

std::string vots_table_head() {
  return "sequence              frames       Q       A       R     NRE     DRE     ADQ  frames/s\n";
}

std::string vots_table_row(const VotsSequenceScores& sequence) {
  std::string lines =
      row(sequence.name, std::to_string(sequence.length), sequence.measures, sequence.frames_per_second);
  if (sequence.objects.size() < 2) return lines;
  for (const VotsObjectScores& object : sequence.objects) {
    lines += row("  object " + object.id, "", object.measures, std::nullopt);
  }
  return lines;
}

std::string vots_table_foot(const VotsScores& scores) {
  int64_t frames = 0;
  for (const VotsSequenceScores& sequence : scores.sequences) frames += sequence.length;
  return row("mean over " + std::to_string(scores.sequences.size()) + " seq.", std::to_string(frames),
             scores.measures, std::nullopt);
}

std::string vots_json(const VotsScores& scores, const VotsRun& run) {
  Json json{{"program", "hqtrack"},     {"version", HQTRACK_VERSION}, {"kind", "vots"},
            {"config", run.config},     {"weights", run.weights},     {"device", run.device},
            {"settings", run.settings}, {"dataset", run.dataset},     {"results", run.results}};
  add_measures(json, scores.measures);
  json["sequences"] = Json::array();
  for (const VotsSequenceScores& sequence : scores.sequences) json["sequences"].push_back(to_json(sequence));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hqtrack
