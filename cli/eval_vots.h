#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack eval vots`: the measures of VOTS2023 of results that the toolkit, or this program, wrote. Returns
/// the exit code; throws Error.
int run_eval_vots(std::span<const std::string> args);

}  // namespace hqtrack
