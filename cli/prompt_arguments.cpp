#include "cli/prompt_arguments.h"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"

namespace hqtrack {
namespace po = boost::program_options;
namespace {

const std::set<std::string> kPlaces = {"box", "point", "mask", "detections"},
                            kAttributes = {"at", "name", "id", "min-score"};
// What may stand beside --detections.
const std::set<std::string> kOfDetections = {"detections", "at", "min-score"};

std::vector<double> parse_numbers(const std::string& option, const std::string& text, size_t least,
                                  size_t most, const std::string& expected) {
  std::vector<double> values;
  const char *at = text.data(), *const end = at + text.size();
  while (true) {
    double value = 0;
    const auto [rest, error] = std::from_chars(at, end, value);
    const bool is_over = rest == end;
    if (error != std::errc{} || !std::isfinite(value) || (!is_over && *rest != ',')) break;
    values.push_back(value);
    if (is_over && values.size() >= least && values.size() <= most) return values;
    if (is_over) break;
    at = rest + 1;
  }
  throw UsageError(option + ": expected " + expected + ", found '" + text + "'");
}

// "7=cup" as 7 and "cup".
std::optional<std::pair<int64_t, std::string>> split_name(const std::string& text) {
  const size_t equals = text.find('=');
  const bool has_id = equals != std::string::npos && equals > 0 &&
                      std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(equals),
                                  [](unsigned char c) { return std::isdigit(c); });
  if (!has_id) return std::nullopt;
  const int64_t id = parse_integer("--name", text.substr(0, equals), 1, 255);
  if (equals + 1 == text.size()) throw UsageError("--name: expected ID=NAME or NAME, found '" + text + "'");
  return std::pair(id, text.substr(equals + 1));
}

/// Takes the options one after another and closes an object when the next one begins.
class Grouping {
 public:
  void take(const std::string& option, const std::string& value) {
    const bool is_place = kPlaces.contains(option);
    const bool is_taken = option == "box" || option == "mask"
                              ? given_.contains("box") || given_.contains("mask")
                              : option != "point" && given_.contains(option);
    if (is_taken || (is_place && is_described_) || !fits_detections(option)) close();
    entry_.source += (given_.empty() ? "--" : " --") + option + " " + value;
    given_.insert(option);
    has_place_ |= is_place;
    is_described_ |= !is_place && has_place_;
    assign(option, value);
  }

  /// What was grouped, without names.
  PromptArguments finish() {
    close();
    return std::move(prompts_);
  }

 private:
  /// False where one of both, the objects of a file and the option, has nothing to do with the other.
  bool fits_detections(const std::string& option) const {
    if (given_.contains("detections")) return kOfDetections.contains(option);
    return option != "detections" || std::ranges::includes(kOfDetections, given_);
  }

  void assign(const std::string& option, const std::string& value) {
    const std::string name = "--" + option;
    if (value.empty()) throw UsageError(name + ": expected a value, found none");
    if (option == "box") {
      const std::vector<double> v = parse_numbers(name, value, 4, 4, "x0,y0,x1,y1");
      entry_.box = {v[0], v[1], v[2], v[3]};
    } else if (option == "point") {
      const std::string expected = "x,y, or x,y,0 for a place beside the object";
      const std::vector<double> v = parse_numbers(name, value, 2, 3, expected);
      if (v.size() == 3 && v[2] != 0 && v[2] != 1) {
        throw UsageError(name + ": expected " + expected + ", found '" + value + "'");
      }
      entry_.points.push_back({v[0], v[1], v.size() < 3 || v[2] == 1});
    } else if (option == "mask") {
      entry_.mask = value;
    } else if (option == "detections") {
      detections_.file = value;
    } else if (option == "min-score") {
      detections_.min_score = parse_numbers(name, value, 1, 1, "a number")[0];
    } else if (option == "at") {
      entry_.at = parse_moment(name, value);
    } else if (option == "id") {
      entry_.id = parse_integer(name, value, 1, 255);
    } else {
      entry_.name = value;
    }
  }

  void close() {
    if (given_.empty()) return;
    if (!has_place_) {
      const std::string expected = given_.contains("min-score") ? "--detections" : "--box, --point or --mask";
      throw UsageError(
          entry_.source + ": expected a " + expected + " with it, found none" +
          (given_.contains("name") ? "; an object of a mask or detection is named by --name ID=NAME" : ""));
    }
    if (given_.contains("detections")) {
      detections_.at = entry_.at;
      prompts_.detections.push_back(std::move(detections_));
    } else if (given_.contains("min-score")) {
      throw UsageError(entry_.source + ": expected no --min-score, which belongs to --detections, found one");
    } else {
      prompts_.entries.push_back(std::move(entry_));
    }
    entry_ = {};
    detections_ = {};
    given_.clear();
    has_place_ = is_described_ = false;
  }

  PromptArguments prompts_;
  PromptEntry entry_;
  DetectionArguments detections_;
  std::set<std::string> given_;  // options of the object at hand
  bool has_place_ = false;       // a box, point, mask or file of detections among them
  bool is_described_ = false;    // and behind it a time, name or id
};

}  // namespace

void add_prompt_options(po::options_description& options) {
  for (const auto& names : {kPlaces, kAttributes}) {
    for (const std::string& name : names) {
      options.add_options()(name.c_str(), po::value<std::vector<std::string>>()->composing());
    }
  }
}

Moment parse_moment(const std::string& option, const std::string& text) {
  const bool is_frame =
      !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c); });
  if (is_frame) return {.frame_index = parse_integer(option, text, 0, std::numeric_limits<int32_t>::max())};
  const bool has_unit = text.size() > 1 && text.back() == 's' && text.find(':') == std::string::npos;
  try {
    return {.time_us = parse_time_us(option, has_unit ? text.substr(0, text.size() - 1) : text)};
  } catch (const UsageError&) {
    throw UsageError(option + ": expected a frame (120), seconds (4.5 or 4s) or [HH:]MM:SS.mmm, found '" +
                     text + "'");
  }
}

PromptArguments parse_prompts(const CommandLine& line) {
  std::map<int64_t, std::string> names;
  Grouping grouping;
  for (const auto& [option, value] : line.in_order) {
    if (option == "name") {
      if (const auto named = split_name(value)) {
        if (names.insert(*named).second) continue;
        throw UsageError("--name: expected one name for object " + std::to_string(named->first) +
                         ", found several");
      }
    }
    if (kPlaces.contains(option) || kAttributes.contains(option)) grouping.take(option, value);
  }
  PromptArguments prompts = grouping.finish();
  prompts.names = std::move(names);
  return prompts;
}

}  // namespace hqtrack
