#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack bench`: how fast this machine runs a configuration, stage by stage. Returns the exit code; throws
/// Error.
int run_bench(std::span<const std::string> args);

}  // namespace hqtrack
