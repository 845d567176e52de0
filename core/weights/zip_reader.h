#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/weights/file_reader.h"

namespace hqtrack {

/// One file inside a zip archive.
struct ZipEntry {
  uint64_t header_offset = 0;  // of its local header
  uint64_t size = 0;           // bytes; no more than the file has when is_stored
  uint32_t crc32 = 0;
  bool is_stored = true;  // neither compressed nor encrypted: the only kind that can be read
};

/// Reads zip archives whose entries are stored without compression, as PyTorch writes them; zip64 included.
/// Every damage is a WeightsError.
class ZipReader {
 public:
  /// Reads the table of contents. Keeps a reference to `file`.
  explicit ZipReader(const FileReader& file);

  /// By name; names are unique.
  const std::map<std::string, ZipEntry>& entries() const { return entries_; }

  /// Null when there is no such entry.
  const ZipEntry* find(const std::string& name) const;

  /// Throws for an entry whose size is not to be believed and whose bytes cannot be read.
  void check_stored(const ZipEntry& entry) const;

  /// Copies the entry's `size` bytes and checks their checksum. Throws as check_stored does.
  void read(const ZipEntry& entry, void* target) const;
  std::string read_text(const ZipEntry& entry) const;

 private:
  void read_table(const std::string& table, uint64_t count);
  std::string name_of(const ZipEntry& entry) const;

  const FileReader& file_;
  std::map<std::string, ZipEntry> entries_;
};

/// The checksum of zip and PNG: polynomial 0xEDB88320, reflected.
uint32_t crc32(const void* data, size_t count);

}  // namespace hqtrack
