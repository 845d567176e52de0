#pragma once

#include <exception>
#include <string>

namespace hqtrack {

/// What went wrong, without the lines that LibTorch's messages go on for.
std::string one_line(const std::exception& error);

}  // namespace hqtrack
