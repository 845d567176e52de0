#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace hqtrack {

/// A file that appears under its final name only when it is complete. Until then it has a temporary name in
/// the same folder, FILE.part.EXT, or FILE.part-2.EXT where that name is taken: nothing that lies there is
/// touched. Where the final name is a link, what it points to is replaced.
class OutputFile {
 public:
  enum class WhenDropped {
    kRemove,
    kKeep  // unless it is empty
  };       // what becomes of a temporary file that is never completed

  /// Makes the folder, where it is missing, and the temporary file, empty. Throws OutputError.
  explicit OutputFile(const std::filesystem::path& file, WhenDropped when_dropped = WhenDropped::kRemove);
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

/// Makes the folder that a file is to lie in, where it is missing. Throws OutputError naming the file.
void make_folder_of(const std::filesystem::path& file);

/// Whether there is something that cannot be replaced, only written to: a pipe, a terminal, a device.
bool is_special_file(const std::filesystem::path& file);

/// Writes a whole file so that its name never shows half of it; special files are written in place. Throws
/// OutputError.
void write_file(const std::filesystem::path& file, std::span<const uint8_t> bytes);
void write_file(const std::filesystem::path& file, std::string_view text);

}  // namespace hqtrack
