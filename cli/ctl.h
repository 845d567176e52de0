#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack ctl`: speaks to the control interface of a running hqtrack. Returns the exit code; throws Error.
int run_ctl(std::span<const std::string> args);

}  // namespace hqtrack
