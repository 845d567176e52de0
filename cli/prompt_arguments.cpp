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

const std::set<std::string> kPlaces = {"box", "point", "mask"}, kAttributes = {"at", "name", "id"};

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
    if (is_taken || (is_place && is_described_)) close();
    if (given_.empty()) entry_.source = "--" + option;
    given_.insert(option);
    if (is_place && !has_place_) {
      has_place_ = true;
      entry_.source = "--" + option + " " + value;
    }
    if (!is_place && has_place_) is_described_ = true;
    assign(option, value);
  }

  std::vector<PromptEntry> finish() {
    close();
    return std::move(entries_);
  }

 private:
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
      throw UsageError(entry_.source + ": expected a --box, --point or --mask with it, found none");
    }
    entries_.push_back(std::move(entry_));
    entry_ = {};
    given_.clear();
    has_place_ = is_described_ = false;
  }

  std::vector<PromptEntry> entries_;
  PromptEntry entry_;
  std::set<std::string> given_;  // options of the object at hand
  bool has_place_ = false;       // a box, point or mask among them
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
  PromptArguments prompts;
  Grouping grouping;
  for (const auto& [option, value] : line.in_order) {
    if (option == "name") {
      if (const auto named = split_name(value)) {
        if (prompts.names.insert(*named).second) continue;
        throw UsageError("--name: expected one name for object " + std::to_string(named->first) +
                         ", found several");
      }
    }
    if (kPlaces.contains(option) || kAttributes.contains(option)) grouping.take(option, value);
  }
  prompts.entries = grouping.finish();
  return prompts;
}

}  // namespace hqtrack
