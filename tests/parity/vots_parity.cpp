#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "eval/trax_message.h"
#include "eval/vots_results.h"
#include "eval/vots_table.h"
#include "tests/parity/eval_parity.h"

namespace hqtrack::parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Numbers, nulls and lists of them.
bool is_close(const json& found, const json& expected) {
  if (expected.is_array()) {
    return found.is_array() &&
           std::equal(found.begin(), found.end(), expected.begin(), expected.end(), is_close);
  }
  if (!expected.is_number() || !found.is_number()) return found == expected;
  return std::abs(found.get<double>() - expected.get<double>()) <= kTolerance;
}

/// Each key of `expected` but those that hold further objects.
void compare(Report& report, const std::string& name, const json& found, const json& expected) {
  for (const auto& [key, value] : expected.items()) {
    if (value.is_object() || key == "overlaps") continue;
    report.check(found.contains(key) && is_close(found[key], value), name + " " + key,
                 "expected " + value.dump().substr(0, 80) + ", found " +
                     found.value(key, json()).dump().substr(0, 80));
  }
}

/// The toolkit gives a number for frames whose annotation is unknown, too.
void compare_overlaps(Report& report, const std::string& name, const json& found, const json& expected) {
  report.check(found.size() == expected.size(), name, "the number of frames");
  for (size_t frame = 0; frame < std::min(found.size(), expected.size()); ++frame) {
    if (found[frame].is_null()) continue;
    report.check(is_close(found[frame], expected[frame]), name + " frame " + std::to_string(frame),
                 "expected " + expected[frame].dump() + ", found " + found[frame].dump());
  }
}

const json& named(const json& list, const char* key, const std::string& name) {
  for (const json& element : list) {
    if (element.at(key) == name) return element;
  }
  throw std::runtime_error("no " + name);
}

void check_tracker(const fs::path& folder, const fs::path& expected_file,
                   const std::vector<VotsSequence>& data, Report& report) {
  const std::string tracker = expected_file.stem().string();
  const json expected = read_json(expected_file);
  const VotsRun run{.config = {}, .weights = {}, .device = {}, .dataset = {}, .results = {}};
  const json found = json::parse(vots_json(evaluate_vots_results(data, folder / "results" / tracker), run));
  compare(report, tracker, found, expected.at("overall"));
  for (const auto& [name, sequence] : expected.at("sequences").items()) {
    const json& found_sequence = named(found.at("sequences"), "name", name);
    compare(report, tracker + " " + name, found_sequence, [&, sequence = sequence]() mutable {
      sequence.erase("width");
      sequence.erase("height");
      return sequence;
    }());
    for (const auto& [id, object] : sequence.at("objects").items()) {
      const json& found_object = named(found_sequence.at("objects"), "id", id);
      const std::string place = tracker + " " + name + " object " + id;
      compare(report, place, found_object, object);
      compare_overlaps(report, place, found_object.at("overlaps"), object.at("overlaps"));
    }
  }
}

/// Results kept as text score as the same results in binary files.
void check_text_results(const fs::path& folder, const std::vector<VotsSequence>& data, Report& report) {
  if (!fs::exists(folder / "results_text")) return;
  for (const auto& entry : fs::directory_iterator(folder / "results_text")) {
    const std::string tracker = entry.path().filename().string();
    const VotsScores text = evaluate_vots_results(data, entry.path());
    const VotsScores binary = evaluate_vots_results(data, folder / "results" / tracker);
    const VotsRun run{.config = {}, .weights = {}, .device = {}, .dataset = {}, .results = {}};
    json a = json::parse(vots_json(text, run)), b = json::parse(vots_json(binary, run));
    compare(report, tracker + " as text", a, b);
    for (size_t i = 0; i < data.size(); ++i) {
      for (size_t k = 0; k < data[i].objects.size(); ++k) {
        compare_overlaps(report, tracker + " as text " + data[i].name,
                         a["sequences"][i]["objects"][k]["overlaps"],
                         b["sequences"][i]["objects"][k]["overlaps"]);
      }
    }
  }
}

/// Binary results written again are the same bytes.
void check_round_trip(const fs::path& folder, Report& report) {
  const fs::path copy = fs::temp_directory_path() / ("hqtrack_parity_" + std::to_string(::getpid()) + ".bin");
  for (const auto& entry : fs::recursive_directory_iterator(folder / "results")) {
    if (entry.path().extension() != ".bin") continue;
    fs::path stem = entry.path();
    write_vot_trajectory(copy, read_vot_trajectory(stem.replace_extension()));
    const auto bytes = [](const fs::path& file) {
      std::ifstream stream(file, std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(stream), {});
    };
    report.check(bytes(copy) == bytes(entry.path()), entry.path().filename().string(),
                 "written again it differs");
  }
  fs::remove(copy);
}

void check_region_pairs(const fs::path& file, Report& report) {
  if (!fs::exists(file)) return;
  for (const json& pair : read_json(file)) {
    const std::string name = pair.at("note");
    const VotRegion a = parse_vot_region(pair.at("a").get<std::string>());
    const VotRegion b = parse_vot_region(pair.at("b").get<std::string>());
    const json& bounds = pair.at("bounds");
    const json& ignored = pair.at("ignore");
    std::optional<std::pair<int64_t, int64_t>> size;
    if (!bounds.is_null()) size = {bounds[0], bounds[1]};
    const VotRegion ignore = ignored.is_null() ? VotSpecial{} : parse_vot_region(ignored.get<std::string>());
    const double found = overlap(a, b, size, ignore), expected = pair.at("overlap");
    report.check(std::abs(found - expected) <= kTolerance, name,
                 "expected " + std::to_string(expected) + ", found " + std::to_string(found));
    report.check(is_empty(a) == pair.at("a_empty").get<bool>(), name + ", a is empty");
    report.check(is_empty(b) == pair.at("b_empty").get<bool>(), name + ", b is empty");
  }
}

/// Every line of a recorded dialogue is understood, and written again it is the same.
void check_transcript(const fs::path& file, Report& report) {
  if (!fs::exists(file)) return;
  std::ifstream stream(file);
  int64_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    const std::string place = "transcript line " + std::to_string(++number);
    const auto message = parse_trax_message(line.substr(2));
    report.check(message.has_value(), place, "it is not understood");
    if (!message) continue;
    report.check(to_line(*message) == line.substr(2) + "\n", place, "written again it differs");
    if (message->type != "state" && message->type != "initialize") continue;
    const std::string& region = message->arguments.at(0);
    report.check(to_trax_text(parse_trax_region(region)) == region, place,
                 "its region written again differs");
  }
}

}  // namespace

void check_vots(const fs::path& folder, Report& report) {
  const std::vector<VotsSequence> data = read_vots_dataset(folder / "data");
  for (const auto& entry : fs::directory_iterator(folder / "expected")) {
    report.guard(entry.path().string(), [&] { check_tracker(folder, entry.path(), data, report); });
  }
  report.guard("results as text", [&] { check_text_results(folder, data, report); });
  report.guard("results written again", [&] { check_round_trip(folder, report); });
  report.guard("regions", [&] { check_region_pairs(folder / "region_cases.json", report); });
  report.guard("transcript", [&] { check_transcript(folder / "transcript.txt", report); });
}

}  // namespace hqtrack::parity
