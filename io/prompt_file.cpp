#include "io/prompt_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "io/json_text.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr double kLongest_s = 1e9;

/// The first of two escapes \uD83D\uDE00 begins at `at`: the character they mean. None when it does not.
std::optional<uint32_t> surrogate_pair(const std::string& text, size_t at) {
  const auto unit = [&](size_t place, uint32_t first) -> std::optional<uint32_t> {
    uint32_t value = 0;
    if (place + 6 > text.size() || text[place] != '\\' || text[place + 1] != 'u') return std::nullopt;
    const auto [end, error] = std::from_chars(&text[place + 2], &text[place + 2] + 4, value, 16);
    if (error != std::errc{} || end != &text[place + 2] + 4 || (value & 0xfc00) != first) return std::nullopt;
    return value - first;
  };
  const auto high = unit(at, 0xd800), low = unit(at + 6, 0xdc00);
  if (!high || !low) return std::nullopt;
  return 0x10000u + (*high << 10) + *low;
}

/// JSON in the words of YAML, line by line: pairs of escapes are one, \U0001F600; a colon follows its key at
/// once; no line ends by a carriage return alone.
std::string as_yaml(const std::string& json) {
  std::string yaml;
  bool is_in_text = false;
  for (size_t i = 0; i < json.size();) {
    if (!is_in_text && std::isspace(static_cast<unsigned char>(json[i]))) {
      const size_t end = std::min(json.find_first_not_of(" \t\r\n", i), json.size());
      std::string space = json.substr(i, end - i);
      std::ranges::replace(space, '\r', ' ');
      const bool has_colon = end < json.size() && json[end] == ':';
      yaml += has_colon ? ":" + space : space;
      i = end + (has_colon ? 1 : 0);
      continue;
    }
    if (const auto character = surrogate_pair(json, i); is_in_text && character) {
      char escape[16];
      std::snprintf(escape, sizeof escape, "\\U%08x", *character);
      yaml += escape;
      i += 12;
      continue;
    }
    if (json[i] == '"') is_in_text = !is_in_text;
    const size_t length = json[i] == '\\' ? 2 : 1;  // what is escaped ends nothing
    yaml += json.substr(i, length);
    i += length;
  }
  return yaml;
}

/// Every JSON text is YAML, and YAML's reader knows the lines.
class PromptFileReader {
 public:
  explicit PromptFileReader(const fs::path& file) : file_(file) {}

  std::vector<PromptEntry> read_file() const {
    const YAML::Node root = parse(read_text(file_, "a JSON file of prompts"));
    if (!root.IsMap()) fail(root, "", "an object with the list 'prompts'");
    check_keys(root, "", {"$schema", "prompts"});
    if (const YAML::Node schema = root["$schema"]) text(schema, "$schema");
    const YAML::Node list = root["prompts"];
    if (!list || !list.IsSequence() || list.size() == 0) {
      fail(list ? list : root, "prompts", "a list of at least one prompt");
    }
    std::vector<PromptEntry> entries;
    for (size_t i = 0; i < list.size(); ++i) {
      entries.push_back(read_entry(list[i], "prompts[" + std::to_string(i) + "]"));
    }
    return entries;
  }

  PromptEntry read_prompt(const std::string& text) const {
    const YAML::Node node = parse(text);
    if (!node.IsMap()) fail(node, "prompt", "an object");
    for (const char* key : {"frame", "time", "mask"}) {
      if (node[key]) throw MediaError(place(node) + ": prompt." + key + ": has no meaning here");
    }
    return read_entry(node, "prompt");
  }

 private:
  YAML::Node parse(const std::string& text) const {
    parse_json(text, file_);
    try {
      return YAML::Load(as_yaml(text));
    } catch (const YAML::Exception& e) {
      throw MediaError(file_.string() + ":" + std::to_string(std::max(0, e.mark.line) + 1) +
                       ": expected JSON, found an error in column " +
                       std::to_string(std::max(0, e.mark.column) + 1) + " (" + e.msg + ")");
    }
  }

  [[noreturn]] void fail(const YAML::Node& node, const std::string& key, const std::string& expected) const {
    std::string found = node.IsScalar()     ? "'" + node.Scalar() + "'"
                        : node.IsSequence() ? "a list of " + std::to_string(node.size())
                        : node.IsMap()      ? "an object"
                                            : "nothing";
    throw MediaError(place(node) + ": " + (key.empty() ? "" : key + ": ") + "expected " + expected +
                     ", found " + found);
  }

  std::string place(const YAML::Node& node) const {
    return file_.string() + ":" + std::to_string(std::max(0, node.Mark().line) + 1);
  }

  void check_keys(const YAML::Node& map, const std::string& key,
                  const std::vector<std::string>& known) const {
    std::set<std::string> seen;
    for (const auto& pair : map) {
      const std::string name = pair.first.IsScalar() ? pair.first.Scalar() : "";
      const std::string full = key.empty() ? name : key + "." + name;
      if (std::ranges::find(known, name) == known.end()) {
        std::string all;
        for (const std::string& each : known) all += (all.empty() ? "" : ", ") + each;
        throw MediaError(place(pair.first) + ": " + full + ": expected one of " + all + ", found this key");
      }
      if (!seen.insert(name).second) {
        throw MediaError(place(pair.first) + ": " + full + ": expected once, found twice");
      }
    }
  }

  // A number as JSON has it: no quotes around it.
  std::optional<double> number(const YAML::Node& node) const {
    if (!node.IsScalar() || node.Tag() == "!") return std::nullopt;
    const std::string& text = node.Scalar();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
      return std::nullopt;
    return value;
  }

  int64_t integer(const YAML::Node& node, const std::string& key, int64_t low, int64_t high) const {
    const std::optional<double> value = number(node);
    if (!value || *value != std::floor(*value) || *value < static_cast<double>(low) ||
        *value > static_cast<double>(high)) {
      fail(node, key, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    }
    return static_cast<int64_t>(*value);
  }

  std::string text(const YAML::Node& node, const std::string& key) const {
    if (!node.IsScalar() || node.Tag() != "!" || node.Scalar().empty()) fail(node, key, "a text in quotes");
    return node.Scalar();
  }

  std::vector<double> numbers(const YAML::Node& node, const std::string& key, size_t least, size_t most,
                              const std::string& expected) const {
    std::vector<double> values;
    if (!node.IsSequence() || node.size() < least || node.size() > most) fail(node, key, expected);
    for (const YAML::Node& item : node) {
      const std::optional<double> value = number(item);
      if (!value) fail(item, key, expected);
      values.push_back(*value);
    }
    return values;
  }

  PromptEntry read_entry(const YAML::Node& node, const std::string& key) const {
    if (!node.IsMap()) fail(node, key, "an object");
    check_keys(node, key, {"action", "frame", "time", "id", "name", "box", "points", "mask"});
    PromptEntry entry{.action = PromptEdit::Action::kAdd,
                      .at = {},
                      .id = std::nullopt,
                      .name = {},
                      .box = std::nullopt,
                      .points = {},
                      .mask = {},
                      .source = place(node) + ": " + key};
    if (const YAML::Node action = node["action"]) entry.action = read_action(action, key + ".action");
    if (node["frame"] && node["time"]) {
      throw MediaError(place(node) + ": " + key + ": expected frame or time, found both");
    }
    if (const YAML::Node frame = node["frame"]) {
      entry.at.frame_index = integer(frame, key + ".frame", 0, std::numeric_limits<int32_t>::max());
    }
    if (const YAML::Node time = node["time"]) {
      const std::optional<double> seconds = number(time);
      if (!seconds || *seconds < 0 || *seconds > kLongest_s) fail(time, key + ".time", "seconds from 0 on");
      entry.at.time_us = std::llround(*seconds * 1e6);
    }
    if (const YAML::Node id = node["id"]) entry.id = integer(id, key + ".id", 1, 255);
    if (const YAML::Node name = node["name"]) entry.name = text(name, key + ".name");
    if (const YAML::Node box = node["box"]) {
      const std::vector<double> v = numbers(box, key + ".box", 4, 4, "[x0, y0, x1, y1]");
      entry.box = {v[0], v[1], v[2], v[3]};
    }
    if (const YAML::Node points = node["points"]) read_points(points, key + ".points", entry);
    if (const YAML::Node mask = node["mask"]) entry.mask = file_.parent_path() / text(mask, key + ".mask");
    check_entry(node, key, entry);
    return entry;
  }

  PromptEdit::Action read_action(const YAML::Node& node, const std::string& key) const {
    for (const auto action :
         {PromptEdit::Action::kAdd, PromptEdit::Action::kCorrect, PromptEdit::Action::kRemove}) {
      if (node.IsScalar() && node.Scalar() == to_string(action)) return action;
    }
    fail(node, key, "add, correct or remove");
  }

  void read_points(const YAML::Node& list, const std::string& key, PromptEntry& entry) const {
    if (!list.IsSequence() || list.size() == 0) fail(list, key, "a list of points");
    for (const YAML::Node& point : list) {
      const std::string expected = "[x, y], or [x, y, 0] for a place beside the object";
      const std::vector<double> v = numbers(point, key, 2, 3, expected);
      if (v.size() == 3 && v[2] != 0 && v[2] != 1) fail(point[2], key, expected);
      entry.points.push_back({v[0], v[1], v.size() < 3 || v[2] == 1});
    }
  }

  void check_entry(const YAML::Node& node, const std::string& key, const PromptEntry& entry) const {
    const bool says_where = entry.box || !entry.points.empty() || !entry.mask.empty();
    if (entry.action == PromptEdit::Action::kRemove) {
      if (!entry.id || says_where || !entry.name.empty())
        fail(node, key, "only an id and a moment to remove an object");
      return;
    }
    if (!says_where)
      throw MediaError(place(node) + ": " + key + ": expected a box, points or a mask, found none");
    if (entry.action == PromptEdit::Action::kCorrect && !entry.id) {
      throw MediaError(place(node) + ": " + key + ": expected the id of the object to correct, found none");
    }
  }

  fs::path file_;
};

}  // namespace

std::vector<PromptEntry> read_prompt_file(const fs::path& file) { return PromptFileReader(file).read_file(); }

PromptEntry parse_prompt(const std::string& json, const std::string& name) {
  return PromptFileReader(name).read_prompt(json);
}

}  // namespace hqtrack
