#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack vots`: a tracker for the VOT toolkit. Returns the exit code.
int run_vots(std::span<const std::string> args);

}  // namespace hqtrack
