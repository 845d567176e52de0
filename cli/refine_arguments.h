#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cli/network_arguments.h"
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

  NetworkArguments network;  // the weights are the refiner's
  bool is_quiet = false;
};

/// Reads the command line; empty when it asked for help, which is printed then. Throws UsageError.
std::optional<RefineArguments> parse_refine_arguments(std::span<const std::string> args);

}  // namespace hqtrack
