#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cli/prompt_arguments.h"

namespace hqtrack {

enum class RefineFormat { kMasks, kCutouts, kCoco };

/// What `hqtrack refine` was asked for.
struct RefineArguments {
  std::vector<std::string> images;               // as given: files, folders, patterns; or else:
  std::optional<DetectionArguments> detections;  // a COCO data set
  std::filesystem::path image_folder;            // where its pictures lie
  PromptArguments prompts;                       // of each of the images

  std::filesystem::path output;  // a folder
  std::set<RefineFormat> formats;
  bool overwrites = false;

  std::optional<std::filesystem::path> config_file, weights_file;
  std::vector<std::string> overrides;  // key.sub=value
  std::string device = "auto";
  std::optional<int64_t> num_threads;
  bool is_quiet = false;
};

/// Reads the command line; empty when it asked for help, which is printed then. Throws UsageError.
std::optional<RefineArguments> parse_refine_arguments(std::span<const std::string> args);

}  // namespace hqtrack
