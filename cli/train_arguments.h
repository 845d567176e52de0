#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hqtrack {

enum class TrainedNetwork { kVmos, kRefiner };

/// What `hqtrack train` was asked for. Empty paths: not given.
struct TrainArguments {
  TrainedNetwork network = TrainedNetwork::kVmos;
  std::filesystem::path pictures, out, initial_weights, config_file, preview;
  std::filesystem::path sequences, validation_root, validation_list;  // vmos
  std::filesystem::path pairs, validation_pairs;                      // refiner
  std::vector<std::string> overrides;
  std::string device = "auto";
  std::optional<int64_t> num_threads;
  bool resume = false;
};

/// Nothing when help was asked for and printed. Throws UsageError, also for an option that has no meaning for
/// what is to be trained.
std::optional<TrainArguments> parse_train_arguments(std::span<const std::string> args);

}  // namespace hqtrack
