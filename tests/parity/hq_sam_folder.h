#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/parity/report.h"

namespace hqtrack::parity {

/// A folder laid out as golden/hqsam: manifests in sub-folders that list the reference tensors with their
/// tolerances, and which of the tensors have been used. Files are named from the root of the folder.
class HqSamFolder {
 public:
  struct Manifest {
    std::string folder;  // from the root, ends with a slash
    nlohmann::json json;
  };

  /// Throws std::runtime_error when there is no manifest.
  explicit HqSamFolder(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  /// Manifests whose cases have this key, or that have it themselves.
  std::vector<Manifest> manifests_with(const std::string& key) const;
  bool has(const std::string& file) const { return items_.contains(file); }
  const nlohmann::json& item(const std::string& file) const { return items_.at(file); }
  /// Files of uint8 [height, width, 3].
  std::vector<std::string> pictures(int64_t height, int64_t width) const;

  /// An input. Throws when the file is missing or not as the manifest says.
  at::Tensor load(const std::string& file);
  /// The same, without counting as use of the file.
  at::Tensor peek(const std::string& file) const;

  /// Whether `compare` would pass, but for the figures of the whole. Does not count as use.
  bool fits(const std::string& file, const at::Tensor& actual) const;
  /// Compares a whole tensor with what the folder keeps of it, if anything, at the manifest's tolerance. Only
  /// the number of elements has to agree: layouts are the caller's matter.
  void compare(Report& report, const std::string& file, const at::Tensor& actual);
  /// Bit by bit, whatever tolerance the manifest allows. `actual` is what the file holds.
  void compare_exactly(Report& report, const std::string& file, const at::Tensor& actual);

  /// Fails every file of the folder that was neither compared nor an input.
  void check_all_used(Report& report) const;

 private:
  std::filesystem::path root_;
  std::vector<Manifest> manifests_;
  std::map<std::string, nlohmann::json> items_;
  std::set<std::string> used_;
};

}  // namespace hqtrack::parity
