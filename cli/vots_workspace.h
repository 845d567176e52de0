#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hqtrack {

/// A workspace of the VOT toolkit that calls this program.
struct VotsWorkspace {
  std::filesystem::path folder;
  std::string stack;  // of the toolkit; "local": one of its own with the measures of VOTS2023
  std::string name;   // of the tracker
  bool uses_folder_protocol = false;
  std::vector<std::string> options;  // of `hqtrack vots`, paths absolute
};

/// Writes trackers.ini, config.yaml and, for a local stack, stack.yaml, and prints the commands that come
/// next. Throws UsageError for a name that the toolkit would not take, and OutputError: files that are there
/// already, or cannot be written.
void write_vots_workspace(const VotsWorkspace& workspace);

}  // namespace hqtrack
