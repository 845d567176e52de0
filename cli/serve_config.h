#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/network_arguments.h"
#include "cli/track_arguments.h"
#include "control/control_server.h"

namespace hqtrack {

/// One stream of `hqtrack serve`.
struct ServedStream {
  std::string name;
  TrackArguments arguments;
};

/// What the file of `hqtrack serve` says (docs/streaming.md).
struct ServeConfig {
  NetworkArguments network;
  std::optional<ControlConfig> control;
  std::vector<ServedStream> streams;  // at least one
};

/// Throws ConfigError "FILE:LINE: KEY: ..." for a file that cannot be read, unknown keys and values that make
/// no sense.
ServeConfig read_serve_config(const std::filesystem::path& file);

}  // namespace hqtrack
