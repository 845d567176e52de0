#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hqtrack::testing {

/// The include directions of docs/architecture.md, checked over the text of a source tree:
///   - a file includes its own folder and lower layers only; siblings of one layer do not know each other;
///   - a quoted include is written from the root and names a file that exists;
///   - OpenCV headers appear in io, eval and train only;
///   - FFmpeg headers appear in io only, and no file outside io reaches one through a header of io;
///   - torch/torch.h, which costs a compiler 12 seconds, appears nowhere.
/// Returns one line a violation, "file:line: what and why", sorted; empty when the tree keeps the rules.
std::vector<std::string> include_violations(const std::filesystem::path& root);

/// Files that the check would read, relative to the root. A check of nothing is no check.
std::vector<std::filesystem::path> checked_files(const std::filesystem::path& root);

}  // namespace hqtrack::testing
