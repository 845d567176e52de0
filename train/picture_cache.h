#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "train/pictures.h"

namespace hqtrack {

/// Writes all pictures into one file, atomically. `signature` names the files they came from.
/// Throws OutputError.
void write_picture_cache(const std::filesystem::path& file, uint64_t signature, const Pictures& pictures);

/// Maps such a file into memory. Empty when there is none, it is damaged, or its signature is another.
std::optional<Pictures> read_picture_cache(const std::filesystem::path& file, uint64_t signature);

}  // namespace hqtrack
