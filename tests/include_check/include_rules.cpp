#include "tests/include_check/include_rules.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string_view>

namespace hqtrack::testing {
namespace fs = std::filesystem;
namespace {

struct Layer {
  std::string_view folder;
  int height;
};

constexpr std::array kLayers = {
    Layer{"core", 0}, Layer{"tracker", 1},  Layer{"refiner", 1}, Layer{"selector", 1},
    Layer{"io", 1},   Layer{"pipeline", 2}, Layer{"control", 3},
    Layer{"eval", 3}, Layer{"train", 4},    Layer{"cli", 5},     Layer{"bench", 6},
    Layer{"tests", 7},
};

struct Include {
  int line = 0;
  std::string path;
  bool is_quoted = false;
};

using IncludesByFile = std::map<std::string, std::vector<Include>>;  // key: path from the root, with slashes

const Layer* layer_of(std::string_view path) {
  const std::string_view folder = path.substr(0, path.find('/'));
  const auto found = std::ranges::find(kLayers, folder, &Layer::folder);
  return found == kLayers.end() ? nullptr : &*found;
}

bool is_opencv(std::string_view path) { return path.starts_with("opencv2/"); }

bool is_ffmpeg(std::string_view path) {
  constexpr std::array<std::string_view, 8> kFolders = {"libavcodec/",  "libavdevice/",  "libavfilter/",
                                                        "libavformat/", "libavutil/",    "libpostproc/",
                                                        "libswscale/",  "libswresample/"};
  return std::ranges::any_of(kFolders, [&](std::string_view folder) { return path.starts_with(folder); });
}

std::vector<Include> read_includes(const fs::path& file) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  std::vector<Include> includes;
  std::ifstream in(file);
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    std::smatch match;
    if (std::regex_match(text, match, kInclude)) includes.push_back({line, match[2], match[1] == "\""});
  }
  return includes;
}

/// Whether the text of `file` comes to hold an FFmpeg header, through however many of our headers.
bool reaches_ffmpeg(const std::string& file, const IncludesByFile& includes, std::set<std::string>& seen) {
  const auto found = includes.find(file);
  if (found == includes.end() || !seen.insert(file).second) return false;
  return std::ranges::any_of(found->second, [&](const Include& include) {
    return is_ffmpeg(include.path) || (include.is_quoted && reaches_ffmpeg(include.path, includes, seen));
  });
}

/// Why `file` may not include this; empty when it may.
std::string objection(const std::string& file, const Include& include, const IncludesByFile& all) {
  const Layer& from = *layer_of(file);
  if (include.path == "torch/torch.h") return "includes all of LibTorch: name the narrow headers";
  const bool is_test = from.folder == "tests";
  if (is_opencv(include.path) && !is_test && from.folder != "io" && from.folder != "eval" &&
      from.folder != "train") {
    return "OpenCV belongs to io, eval and train";
  }
  if (is_ffmpeg(include.path) && !is_test && from.folder != "io") return "FFmpeg belongs to io";
  if (!include.is_quoted) return "";
  const Layer* to = layer_of(include.path);
  if (to == nullptr || !all.contains(include.path)) return "no such file, seen from the root";
  if (to->folder == from.folder) return "";
  if (to->height == from.height) return "siblings do not know each other";
  if (to->height > from.height) return "points upwards";
  std::set<std::string> seen;
  if (!is_test && reaches_ffmpeg(include.path, all, seen)) return "brings FFmpeg headers out of io";
  return "";
}

}  // namespace

std::vector<fs::path> checked_files(const fs::path& root) {
  std::vector<fs::path> files;
  for (const Layer& layer : kLayers) {
    if (!fs::exists(root / layer.folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / layer.folder)) {
      const fs::path extension = entry.path().extension();
      if (extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh") {
        files.push_back(fs::relative(entry.path(), root));
      }
    }
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> include_violations(const fs::path& root) {
  IncludesByFile includes;
  for (const fs::path& file : checked_files(root)) {
    includes[file.generic_string()] = read_includes(root / file);
  }
  std::vector<std::string> violations;
  for (const auto& [file, included] : includes) {
    for (const Include& include : included) {
      const std::string why = objection(file, include, includes);
      if (!why.empty()) {
        violations.push_back(file + ":" + std::to_string(include.line) + ": " + include.path + ": " + why);
      }
    }
  }
  return violations;
}

}  // namespace hqtrack::testing
