#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack train vmos` and `hqtrack train refiner` (cli/train_arguments.h).
/// Returns the exit code; throws Error.
int run_train(std::span<const std::string> args);

}  // namespace hqtrack
