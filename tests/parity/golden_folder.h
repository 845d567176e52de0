#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/parity/report.h"

namespace hqtrack::parity {

/// A folder of reference tensors with its manifest, and which of them have been compared.
class GoldenFolder {
 public:
  explicit GoldenFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return folder_; }
  const nlohmann::json& manifest() const { return manifest_; }
  bool has(const std::string& name) const { return entries_.contains(name); }
  at::Tensor load(const std::string& name) const;
  const nlohmann::json& entry(const std::string& name) const { return entries_.at(name); }
  double atol(const std::string& name) const;
  /// Names that start with `prefix`.
  std::vector<std::string> names(const std::string& prefix) const;

  /// Compares with the tensor of that name at its own tolerance, if the folder has it.
  void compare(Report& report, const std::string& name, const at::Tensor& actual);
  void mark_compared(const std::string& name) { compared_.insert(name); }
  /// Fails every tensor that has a tolerance and was compared with nothing.
  void check_all_compared(Report& report) const;

 private:
  std::filesystem::path folder_;
  nlohmann::json manifest_;
  std::map<std::string, nlohmann::json> entries_;
  std::set<std::string> compared_;
};

}  // namespace hqtrack::parity
