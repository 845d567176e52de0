#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/weights/tensor_file.h"
#include "tests/parity/report.h"

namespace hqtrack::parity {

/// Names and shapes of a checkpoint: golden/hqsam/state_dict/*.json.
class StateDict {
 public:
  explicit StateDict(const std::filesystem::path& file);

  const std::string& variant() const { return variant_; }
  /// Sizes of the network that such a checkpoint is of. Those of a ViT tell image_size, others have to be
  /// told.
  RefinerConfig config(std::optional<int64_t> image_size) const;
  /// A checkpoint with values by the rule.
  TensorFile weights(const std::string& prefix) const;
  /// What the file says of itself and of the rule.
  void check(Report& report) const;

 private:
  bool has(const std::string& name) const { return shapes_.contains(name); }
  const std::vector<int64_t>& shape(const std::string& name) const;
  int64_t num_blocks(const std::string& parent, const std::string& member) const;
  RefinerEncoderConfig vit() const;
  RefinerEncoderConfig tiny_vit() const;

  nlohmann::json file_;
  std::string variant_;
  std::map<std::string, std::vector<int64_t>> shapes_;
};

}  // namespace hqtrack::parity
