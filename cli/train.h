#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack train vmos`: trains the tracker's network on synthetic clips and, where given, real sequences.
/// Returns the exit code; throws Error.
int run_train(std::span<const std::string> args);

}  // namespace hqtrack
