#include "eval/results_zip.h"

#include <zip.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

std::vector<fs::path> files_in(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw MediaError(folder.string() + ": expected masks, found no such folder");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool is_part = entry.path().stem().extension().string().starts_with(".part");  // of a killed run
    if (entry.is_regular_file() && entry.path().extension() == ".png" && !is_part)
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

void write_results_zip(const fs::path& file, const fs::path& folder,
                       const std::vector<std::string>& sequences, const std::string& prefix) {
  OutputFile output(file);
  const auto fail = [&](const std::string& reason) {
    throw OutputError(file.string() + ": cannot be written: " + reason);
  };
  int error = 0;
  std::unique_ptr<zip_t, decltype(&zip_discard)> archive(
      zip_open(output.temporary_path().c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error), zip_discard);
  if (!archive) fail("error " + std::to_string(error) + " of libzip");
  for (const std::string& sequence : sequences) {
    for (const fs::path& mask : files_in(folder / sequence)) {
      const std::string name = (fs::path(prefix) / sequence / mask.filename()).string();
      zip_source_t* const source = zip_source_file(archive.get(), mask.c_str(), 0, -1);
      if (source == nullptr) fail(zip_strerror(archive.get()));
      const zip_int64_t entry = zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
      if (entry < 0) {
        zip_source_free(source);
        fail(zip_strerror(archive.get()));
      }
      zip_set_file_compression(archive.get(), static_cast<zip_uint64_t>(entry), ZIP_CM_STORE,
                               0);  // PNG is compressed
    }
  }
  if (zip_close(archive.get()) != 0) fail(zip_strerror(archive.get()));
  static_cast<void>(archive.release());  // closed
  output.commit();
}

}  // namespace hqtrack
