#include "cli/paths.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;

fs::path program_folder() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::current_path() : program.parent_path();
}

fs::path default_config_path() {
  std::vector<fs::path> places;
  if (const char* home = std::getenv("HQTRACK_HOME"); home && *home) {
    places = {fs::path(home) / "configs"};
  } else {
    const fs::path parent = program_folder().parent_path();
    places = {parent / "share" / "hqtrack" / "configs", parent / "configs"};
  }
  std::string tried;
  for (const fs::path& place : places) {
    const fs::path file = place / "nano.yaml";
    std::error_code ignored;
    if (fs::is_regular_file(file, ignored)) return file;
    tried += (tried.empty() ? "" : " nor ") + file.string();
  }
  throw ConfigError("--config: expected a file, found neither the option nor " + tried);
}

}  // namespace hqtrack
