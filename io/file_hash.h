#pragma once

#include <filesystem>
#include <string>

namespace hqtrack {

/// SHA-256 of a file in hexadecimal digits, as sha256sum prints it. Throws MediaError naming the file.
std::string sha256_of(const std::filesystem::path& file);

}  // namespace hqtrack
