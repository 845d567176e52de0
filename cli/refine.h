#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack refine`: masks of objects in still pictures. Returns the exit code; throws Error.
int run_refine(std::span<const std::string> args);

}  // namespace hqtrack
