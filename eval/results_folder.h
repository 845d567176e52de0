#pragma once

#include <filesystem>

namespace hqtrack {

/// The folder itself is said to be missing, not the first file in it. Throws MediaError.
void check_results_folder(const std::filesystem::path& folder);

}  // namespace hqtrack
