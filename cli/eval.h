#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack eval davis`: scores the tracker, or masks made before, on a data set in the layout of DAVIS.
/// Returns the exit code; throws Error.
int run_eval(std::span<const std::string> args);

}  // namespace hqtrack
