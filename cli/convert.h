#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack convert IN OUT`: weights of any known format to .safetensors. Returns the exit code; throws
/// Error: UsageError, WeightsError for IN and for values --dtype cannot hold, OutputError for OUT.
int run_convert(std::span<const std::string> args);

}  // namespace hqtrack
