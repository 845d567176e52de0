#include "eval/vots_dataset.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <map>

#include "core/error.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxSide_px = 1 << 15;  // result files keep 16 bits
constexpr int64_t kMaxFrames = 1'000'000;

using Properties = std::map<std::string, std::string>;

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

Properties read_properties(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) {
    throw MediaError(file.string() + ": expected the description of a sequence, found no readable file");
  }
  Properties properties;
  for (std::string line; std::getline(stream, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    properties[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return properties;
}

/// A whole number from 1 to `most`; 0 where the key is missing.
int64_t positive(const Properties& properties, const std::string& key, int64_t most, const fs::path& file) {
  const auto found = properties.find(key);
  if (found == properties.end()) return 0;
  const std::string& text = found->second;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    throw MediaError(file.string() + ": " + key + ": expected a number from 1 to " + std::to_string(most) +
                     ", found '" + text + "'");
  }
  return value;
}

/// "color" is short for "color/%08d.jpg". The one %0Nd may not be anything else.
std::string picture_pattern(const Properties& properties, const fs::path& file) {
  const auto found = properties.find("channels.color");
  std::string pattern = found == properties.end() ? "color/%08d.jpg" : found->second;
  if (!fs::path(pattern).has_extension()) pattern += "/%08d.jpg";
  const size_t percent = pattern.find('%');
  const size_t end =
      percent == std::string::npos ? percent : pattern.find_first_not_of("0123456789", percent + 1);
  if (end == std::string::npos || pattern[end] != 'd' || end - percent > 3 ||
      pattern.find('%', percent + 1) != std::string::npos) {
    throw MediaError(file.string() + ": channels.color: expected a pattern as color/%08d.jpg, found '" +
                     pattern + "'");
  }
  return pattern;
}

void measure_pictures(VotsSequence& sequence) {
  if (sequence.length == 0) {
    while (fs::exists(sequence.picture(sequence.length))) ++sequence.length;
  }
  if (sequence.width > 0 && sequence.height > 0) return;
  const at::Tensor first = read_image(sequence.picture(0));
  sequence.height = first.size(0);
  sequence.width = first.size(1);
}

VotTrajectory read_truth(const fs::path& file, int64_t length) {
  VotTrajectory truth = read_vot_text(file);
  if (std::ssize(truth) > length) {
    throw MediaError(file.string() + ": expected at most " + std::to_string(length) +
                     " lines, the length of the sequence, found " + std::to_string(truth.size()));
  }
  truth.resize(static_cast<size_t>(length), VotSpecial{0});
  return truth;
}

void read_objects(VotsSequence& sequence) {
  constexpr std::string_view kPrefix = "groundtruth_", kIgnore = "_ignore";
  std::map<std::string, fs::path> files;
  for (const auto& entry : fs::directory_iterator(sequence.folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || entry.path().extension() != ".txt") continue;
    files[entry.path().stem().string().substr(kPrefix.size())] = entry.path();
  }
  if (files.empty()) files["object"] = sequence.folder / "groundtruth.txt";
  for (const auto& [id, file] : files) {
    const bool is_object = !id.starts_with('_');
    if (is_object) sequence.objects.push_back({id, read_truth(file, sequence.length)});
    if (id == kIgnore) sequence.ignore = read_truth(file, sequence.length);
  }
  std::ranges::stable_sort(sequence.objects, {}, [&](const VotsObject& object) {
    return object.first_frame().value_or(static_cast<size_t>(sequence.length));
  });
  if (sequence.objects.empty() || !sequence.objects.front().first_frame()) {
    throw MediaError(sequence.folder.string() + ": expected an object with a region, found none");
  }
}

VotsSequence read_sequence(const fs::path& root, const std::string& name) {
  VotsSequence sequence{.name = name, .folder = root / name};
  if (!fs::is_directory(sequence.folder)) {
    throw MediaError(sequence.folder.string() + ": expected the sequence '" + name +
                     "', found no such folder");
  }
  const fs::path file = sequence.folder / "sequence";
  const Properties properties = read_properties(file);
  sequence.pictures = picture_pattern(properties, file);
  sequence.length = positive(properties, "length", kMaxFrames, file);
  sequence.width = positive(properties, "width", kMaxSide_px, file);
  sequence.height = positive(properties, "height", kMaxSide_px, file);
  measure_pictures(sequence);
  if (sequence.length == 0) {
    throw MediaError(sequence.picture(0).string() + ": expected the pictures of a sequence, found none");
  }
  read_objects(sequence);
  return sequence;
}

}  // namespace

std::optional<size_t> VotsObject::first_frame() const {
  const auto first = std::ranges::find_if(
      truth, [](const VotRegion& region) { return !std::holds_alternative<VotSpecial>(region); });
  if (first == truth.end()) return std::nullopt;
  return static_cast<size_t>(first - truth.begin());
}

fs::path VotsSequence::picture(int64_t frame) const {
  const size_t percent = pictures.find('%'), end = pictures.find('d', percent);
  const std::string width = pictures.substr(percent + 1, end - percent - 1);
  std::string number = std::to_string(frame + 1);
  const size_t digits = width.empty() ? 0 : static_cast<size_t>(std::stoi(width));
  if (number.size() < digits) {
    number.insert(0, digits - number.size(), width.starts_with('0') ? '0' : ' ');
  }
  return folder / (pictures.substr(0, percent) + number + pictures.substr(end + 1));
}

std::string VotsSequence::result_stem(const VotsObject& object) const {
  return name + (objects.size() > 1 ? "_" + object.id : "") + "_001";
}

std::vector<VotsSequence> read_vots_dataset(const fs::path& root) {
  const fs::path list = root / "list.txt";
  std::ifstream stream(list);
  if (!stream) throw MediaError(list.string() + ": expected the names of sequences, found no readable file");
  std::vector<VotsSequence> sequences;
  for (std::string line; std::getline(stream, line);) {
    const std::string name = trimmed(line);
    if (name.find('/') != std::string::npos || name == "." || name == "..") {
      throw MediaError(list.string() + ": expected the name of a folder beside it, found '" + name + "'");
    }
    if (std::ranges::find(sequences, name, &VotsSequence::name) != sequences.end()) {
      throw MediaError(list.string() + ": expected each sequence once, found '" + name + "' again");
    }
    if (!name.empty()) sequences.push_back(read_sequence(root, name));
  }
  if (sequences.empty()) throw MediaError(list.string() + ": expected the names of sequences, found none");
  return sequences;
}

}  // namespace hqtrack
