#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/network_arguments.h"

namespace hqtrack {

enum class TrainedNetwork { kVmos, kRefiner };

/// What `hqtrack train` was asked for. Empty paths: not given.
struct TrainArguments {
  TrainedNetwork network = TrainedNetwork::kVmos;
  std::filesystem::path pictures, out, initial_weights, preview;
  std::filesystem::path sequences, validation_root, validation_list;  // vmos
  std::filesystem::path pairs, validation_pairs;                      // refiner
  NetworkArguments network_arguments;
  bool resume = false, overwrites = false;
};

/// Nothing when help was asked for and printed. Throws UsageError, also for an option that has no meaning for
/// what is to be trained.
std::optional<TrainArguments> parse_train_arguments(std::span<const std::string> args);

}  // namespace hqtrack
