#pragma once

#include <span>
#include <string>

namespace hqtrack {

/// `hqtrack eval davis|youtube-vos`: scores the tracker, or masks made before, on a data set in the layout of
/// DAVIS or YouTube-VOS. Returns the exit code; throws Error.
int run_eval_davis(std::span<const std::string> args);

}  // namespace hqtrack
