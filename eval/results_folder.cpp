#include "eval/results_folder.h"

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;

void check_results_folder(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  throw MediaError(folder.string() + ": expected a folder of results, found " +
                   (fs::exists(folder) ? "a file" : "nothing"));
}

}  // namespace hqtrack
