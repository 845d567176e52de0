#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace hqtrack {

/// A file that appears under its final name only when it is complete. Until then it has a temporary name in
/// the same folder, FILE.part.EXT.
class OutputFile {
 public:
  enum class WhenDropped { kRemove, kKeep };  // what becomes of a temporary file that is never completed

  explicit OutputFile(std::filesystem::path file, WhenDropped when_dropped = WhenDropped::kRemove);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::filesystem::path& final_path() const { return final_; }
  const std::filesystem::path& temporary_path() const { return temporary_; }

  /// Gives the closed temporary file its final name, replacing what was there. Throws OutputError.
  void commit();

 private:
  std::filesystem::path final_, temporary_;
  WhenDropped when_dropped_;
  bool is_committed_ = false;
};

/// Writes a whole file so that its name never shows half of it. Throws OutputError.
void write_file(const std::filesystem::path& file, std::span<const uint8_t> bytes);

}  // namespace hqtrack
