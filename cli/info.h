#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack info`: what this program and machine can do, or what a video or weights file holds.
/// Returns the exit code; throws Error.
int run_info(std::span<const std::string> args);

}  // namespace hqtrack
