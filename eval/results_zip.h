#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hqtrack {

/// Packs the masks FOLDER/SEQUENCE/*.png of the sequences that are named as PREFIX/SEQUENCE/*.png into a zip file, which
/// appears under its name only when complete. Evaluation servers take masks so: DAVIS without a prefix,
/// YouTube-VOS with "Annotations". Throws MediaError for a missing folder, OutputError.
void write_results_zip(const std::filesystem::path& file, const std::filesystem::path& folder,
                       const std::vector<std::string>& sequences, const std::string& prefix);

}  // namespace hqtrack
