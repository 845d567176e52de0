#include "eval/davis_dataset.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/log.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kVoid = 255;

/// Where the sequences of one data set lie.
struct Layout {
  fs::path images, annotations;
};

Layout find_layout(const fs::path& root) {
  const fs::path images = root / "JPEGImages", annotations = root / "Annotations";
  for (const char* resolution : {"480p", "Full-Resolution", "1080p"}) {
    const Layout layout{images / resolution, annotations / resolution};
    if (fs::is_directory(layout.images) && fs::is_directory(layout.annotations)) return layout;
  }
  if (!fs::is_directory(images) || !fs::is_directory(annotations)) {
    throw MediaError(root.string() +
                     ": expected the folders JPEGImages and Annotations (DAVIS layout), found " +
                     (fs::is_directory(root) ? "a folder without them" : "no such folder"));
  }
  return {images, annotations};
}

std::vector<std::string> sequences_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// "bear", or "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png": the sequence is "bear".
std::string sequence_of_line(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  const fs::path path(word);
  return path.has_parent_path() && path.has_extension() ? path.parent_path().filename().string() : word;
}

std::vector<std::string> read_list(const fs::path& root, const fs::path& list_file) {
  const fs::path file = fs::exists(list_file) ? list_file : root / list_file;
  std::ifstream stream(file);
  if (!stream)
    throw MediaError(list_file.string() + ": expected a list of sequences, found no readable file");
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (std::string line; std::getline(stream, line);) {
    const std::string name = sequence_of_line(line.substr(0, line.find('#')));
    if (name.find('/') != std::string::npos || name == "." || name == "..") {
      throw MediaError(file.string() + ": expected the name of a sequence, found '" + name + "'");
    }
    if (!name.empty() && seen.insert(name).second) names.push_back(name);
  }
  if (names.empty()) throw MediaError(file.string() + ": expected the names of sequences, found none");
  return names;
}

/// Files of a folder that have one of the extensions, by name without extension.
std::map<std::string, fs::path> files_by_stem(const fs::path& folder,
                                              const std::set<std::string>& extensions) {
  std::map<std::string, fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string extension = entry.path().extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (extensions.contains(extension)) files[entry.path().stem().string()] = entry.path();
  }
  return files;
}

DavisSequence read_sequence(const Layout& layout, const std::string& name, VosRules rules) {
  for (const fs::path& folder : {layout.images / name, layout.annotations / name}) {
    if (!fs::is_directory(folder)) {
      throw MediaError(folder.string() + ": expected the sequence '" + name + "', found no such folder");
    }
  }
  const auto images = files_by_stem(layout.images / name, {".jpg", ".jpeg", ".png"});
  const auto annotations = files_by_stem(layout.annotations / name, {".png"});
  for (const auto& [stem, file] : annotations) {
    if (!images.contains(stem)) {
      throw MediaError(file.string() + ": expected a picture '" + stem + "' in " +
                       (layout.images / name).string() + ", found none");
    }
  }
  if (rules == VosRules::kDavis && annotations.size() < 3) {
    throw MediaError(
        (layout.annotations / name).string() +
        ": expected at least 3 annotated frames (the first and the last are not scored), found " +
        std::to_string(annotations.size()));
  }
  if (annotations.empty()) {
    throw MediaError((layout.annotations / name).string() + ": expected an annotated frame, found none");
  }
  const size_t missing = images.size() - annotations.size();
  // YouTube-VOS annotates every fifth frame, DAVIS all.
  if (layout.images.filename() != "JPEGImages" && missing > 0) {
    log_warning((layout.annotations / name).string() + ": expected " + std::to_string(images.size()) +
                " annotated frames, as many as pictures, found " + std::to_string(annotations.size()) +
                "; those without are not scored, those before the first one not tracked");
  }
  DavisSequence sequence{.name = name, .frames = {}, .rules = rules};
  for (auto image = images.find(annotations.begin()->first); image != images.end(); ++image) {
    const auto annotation = annotations.find(image->first);
    sequence.frames.push_back(
        {image->second, annotation == annotations.end() ? fs::path{} : annotation->second});
  }
  return sequence;
}

}  // namespace

std::vector<size_t> DavisSequence::scored_frames() const {
  std::vector<size_t> positions;
  for (size_t i = 1; i < frames.size(); ++i) {
    if (!frames[i].annotation.empty()) positions.push_back(i);
  }
  if (rules == VosRules::kDavis && !positions.empty()) positions.pop_back();
  return positions;
}

std::vector<DavisSequence> read_davis_dataset(const fs::path& root, const fs::path& list_file,
                                              VosRules rules) {
  const Layout layout = find_layout(root);
  const auto names = list_file.empty() ? sequences_in(layout.annotations) : read_list(root, list_file);
  if (names.empty()) {
    throw MediaError(layout.annotations.string() + ": expected a folder for each sequence, found none");
  }
  if (list_file.empty()) {
    for (const std::string& name : sequences_in(layout.images)) {
      if (std::ranges::find(names, name) != names.end()) continue;
      log_warning((layout.annotations / name).string() + ": expected the annotations of '" + name +
                  "', found no such folder; the sequence is left out");
    }
  }
  std::vector<DavisSequence> sequences;
  for (const std::string& name : names) sequences.push_back(read_sequence(layout, name, rules));
  return sequences;
}

DavisAttributes read_davis_attributes(const fs::path& file) {
  const auto refuse = [&](const YAML::Mark& mark, const std::string& expected) {
    throw MediaError(file.string() + ":" + std::to_string(std::max(0, mark.line) + 1) + ": expected " +
                     expected);
  };
  DavisAttributes attributes;
  try {
    const YAML::Node root = YAML::LoadFile(file.string());
    const YAML::Node sequences = root.IsMap() ? root["sequences"] : YAML::Node();
    if (!sequences || !sequences.IsSequence())
      refuse(root.Mark(), "a list 'sequences' as in DAVIS's db_info.yaml");
    for (const YAML::Node& sequence : sequences) {
      const YAML::Node name = sequence.IsMap() ? sequence["name"] : YAML::Node();
      if (!name || !name.IsScalar()) refuse(sequence.Mark(), "a sequence with a name");
      const YAML::Node list = sequence["attributes"];
      if (!list) continue;
      attributes[name.Scalar()] = list.as<std::vector<std::string>>();
    }
  } catch (const YAML::BadFile&) {
    throw MediaError(file.string() + ": expected DAVIS's db_info.yaml, found no file that can be read");
  } catch (const YAML::Exception& e) {
    refuse(e.mark, "YAML as in DAVIS's db_info.yaml, found an error (" + e.msg + ")");
  }
  if (attributes.empty()) {
    throw MediaError(file.string() + ": expected sequences with attributes, found none that has any");
  }
  return attributes;
}

at::Tensor read_annotation(const fs::path& file) {
  at::Tensor labels = read_label_mask(file);
  labels.masked_fill_(labels.eq(kVoid), 0);
  return labels;
}

}  // namespace hqtrack
