#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack eval KIND`: scores on a data set. Returns the exit code; throws Error.
int run_eval(std::span<const std::string> args);

}  // namespace hqtrack
