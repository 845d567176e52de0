#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack track`: follows objects through a video. Returns the exit code; throws Error.
int run_track(std::span<const std::string> args);

}  // namespace hqtrack
