#pragma once

#include <filesystem>

namespace hqtrack {

/// Folder of the running program.
std::filesystem::path program_folder();

/// configs/nano.yaml of this installation: below HQTRACK_HOME when that is set, else share/hqtrack of the
/// tree the program is installed in, else beside the build folder the program lies in. Throws ConfigError
/// naming the places when it is in none of them.
std::filesystem::path default_config_path();

}  // namespace hqtrack
