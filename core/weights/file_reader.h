#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace hqtrack {

/// Random access to the bytes of a weights file. Every failure is a WeightsError that begins with the path.
class FileReader {
 public:
  /// Throws when the file is not a readable regular file.
  explicit FileReader(const std::filesystem::path& path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }

  /// Copies `count` bytes from `offset` on. Throws when they are not all there.
  void read(uint64_t offset, void* target, size_t count) const;
  std::string read_text(uint64_t offset, size_t count) const;

  /// Throws WeightsError "PATH: message".
  [[noreturn]] void fail(const std::string& message) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

/// Text of a file made fit for a message: quoted, one line, no control characters, at most about 80
/// characters.
std::string in_quotes(std::string_view text);

}  // namespace hqtrack
