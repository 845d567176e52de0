#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack serve`: follows objects through several live streams. Returns the exit code; throws Error.
int run_serve(std::span<const std::string> args);

}  // namespace hqtrack
