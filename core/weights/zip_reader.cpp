#include "core/weights/zip_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

namespace hqtrack {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kTableEntry = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50;
constexpr uint32_t kEnd64Locator = 0x07064b50;
constexpr size_t kLocalHeaderBytes = 30, kTableEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                 kLocatorBytes = 20;
constexpr uint64_t kLongestTable = 100'000'000;
constexpr uint32_t kIn64 = 0xffffffff;  // "see the zip64 field"

template <class Number>
Number number_at(std::string_view bytes, size_t offset) {
  Number value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// Where the table of contents lies.
struct Table {
  uint64_t offset = 0, bytes = 0, count = 0;
};

/// The zip64 form of the table's place, when a locator stands right before the end record at `end_offset`.
std::optional<Table> find_table_64(const FileReader& file, uint64_t end_offset) {
  if (end_offset < kLocatorBytes) return std::nullopt;
  const std::string locator = file.read_text(end_offset - kLocatorBytes, kLocatorBytes);
  if (number_at<uint32_t>(locator, 0) != kEnd64Locator) return std::nullopt;
  const std::string end = file.read_text(number_at<uint64_t>(locator, 8), kEnd64Bytes);
  if (number_at<uint32_t>(end, 0) != kEnd64) file.fail("damaged: the zip archive has no zip64 end record");
  return Table{number_at<uint64_t>(end, 48), number_at<uint64_t>(end, 40), number_at<uint64_t>(end, 32)};
}

Table find_table(const FileReader& file) {
  constexpr uint64_t kLongestComment = 65535;
  const uint64_t tail_bytes = std::min<uint64_t>(file.size(), kEndBytes + kLongestComment);
  const uint64_t tail_offset = file.size() - tail_bytes;
  const std::string tail = file.read_text(tail_offset, tail_bytes);
  for (size_t i = tail.size() >= kEndBytes ? tail.size() - kEndBytes + 1 : 0; i-- > 0;) {
    if (number_at<uint32_t>(tail, i) != kEnd) continue;
    if (i + kEndBytes + number_at<uint16_t>(tail, i + 20) != tail.size()) continue;
    if (const auto table = find_table_64(file, tail_offset + i)) return *table;
    return {number_at<uint32_t>(tail, i + 16), number_at<uint32_t>(tail, i + 12),
            number_at<uint16_t>(tail, i + 10)};
  }
  file.fail(
      "damaged: expected a zip archive, found no end of its table of contents; the file may be cut short");
}

/// Takes from the zip64 extra field the numbers that did not fit: size, stored size, offset, in this order.
bool fill_from_extra(std::string_view extra, std::array<uint64_t*, 3> numbers) {
  while (extra.size() >= 4) {
    const auto id = number_at<uint16_t>(extra, 0);
    const size_t bytes = number_at<uint16_t>(extra, 2);
    if (bytes > extra.size() - 4) return false;
    std::string_view field = extra.substr(4, bytes);
    extra.remove_prefix(4 + bytes);
    if (id != 1) continue;
    for (uint64_t* number : numbers) {
      if (*number != kIn64) continue;
      if (field.size() < 8) return false;
      *number = number_at<uint64_t>(field, 0);
      field.remove_prefix(8);
    }
    return true;
  }
  return std::none_of(numbers.begin(), numbers.end(),
                      [](const uint64_t* number) { return *number == kIn64; });
}

constexpr std::array<std::array<uint32_t, 256>, 8> make_crc_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
    tables[0][i] = value;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t i = 0; i < 256; ++i)
      tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 255];
  }
  return tables;
}

}  // namespace

uint32_t crc32(const void* data, size_t count) {
  static constexpr auto kTables = make_crc_tables();
  const char* position = static_cast<const char*>(data);
  uint32_t crc = 0xffffffff;
  for (; count >= 8; count -= 8, position += 8) {  // eight bytes a step, one table for each
    uint64_t word = 0;
    std::memcpy(&word, position, 8);
    word ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 255];
  }
  for (; count > 0; --count, ++position) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*position)) & 255];
  }
  return ~crc;
}

ZipReader::ZipReader(const FileReader& file) : file_(file) {
  const Table table = find_table(file);
  if (table.bytes > kLongestTable) file.fail("damaged: the zip archive's table of contents is too long");
  read_table(file.read_text(table.offset, table.bytes), table.count);
}

void ZipReader::read_table(const std::string& table, uint64_t count) {
  std::string_view rest = table;
  uint64_t total_bytes = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (rest.size() < kTableEntryBytes || number_at<uint32_t>(rest, 0) != kTableEntry) {
      file_.fail("damaged: expected " + std::to_string(count) + " entries in the zip archive, found " +
                 std::to_string(i));
    }
    const size_t name_bytes = number_at<uint16_t>(rest, 28), extra_bytes = number_at<uint16_t>(rest, 30);
    const size_t entry_bytes = kTableEntryBytes + name_bytes + extra_bytes + number_at<uint16_t>(rest, 32);
    if (rest.size() < entry_bytes) file_.fail("damaged: the zip archive's table of contents is cut short");
    const std::string name(rest.substr(kTableEntryBytes, name_bytes));
    uint64_t stored_bytes = number_at<uint32_t>(rest, 20);
    ZipEntry entry{number_at<uint32_t>(rest, 42), number_at<uint32_t>(rest, 24),
                   number_at<uint32_t>(rest, 16)};
    if (!fill_from_extra(rest.substr(kTableEntryBytes + name_bytes, extra_bytes),
                         {&entry.size, &stored_bytes, &entry.header_offset})) {
      file_.fail("damaged: " + in_quotes(name) + " has a broken zip64 field");
    }
    entry.is_stored = number_at<uint16_t>(rest, 10) == 0 && (number_at<uint16_t>(rest, 8) & 1) == 0;
    if (entry.is_stored && (stored_bytes != entry.size || entry.size > file_.size() - total_bytes)) {
      file_.fail("damaged: " + in_quotes(name) + " has an impossible size of " + std::to_string(entry.size) +
                 " bytes");
    }
    if (entry.is_stored) total_bytes += entry.size;
    if (!entries_.emplace(name, entry).second) {
      file_.fail("damaged: the zip archive has " + in_quotes(name) + " twice");
    }
    rest.remove_prefix(entry_bytes);
  }
}

const ZipEntry* ZipReader::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

void ZipReader::check_stored(const ZipEntry& entry) const {
  if (!entry.is_stored) {
    file_.fail(name_of(entry) + ": expected an entry stored as it is, found a compressed or encrypted one");
  }
}

void ZipReader::read(const ZipEntry& entry, void* target) const {
  check_stored(entry);
  const std::string header = file_.read_text(entry.header_offset, kLocalHeaderBytes);
  if (number_at<uint32_t>(header, 0) != kLocalHeader) {
    file_.fail("damaged: " + name_of(entry) + " has no header in the zip archive");
  }
  const uint64_t skipped =
      kLocalHeaderBytes + number_at<uint16_t>(header, 26) + number_at<uint16_t>(header, 28);
  file_.read(entry.header_offset + skipped, target, entry.size);
  if (crc32(target, entry.size) != entry.crc32) {
    file_.fail("damaged: the checksum of " + name_of(entry) + " does not match its bytes");
  }
}

std::string ZipReader::read_text(const ZipEntry& entry) const {
  check_stored(entry);
  std::string text(entry.size, '\0');
  read(entry, text.data());
  return text;
}

std::string ZipReader::name_of(const ZipEntry& entry) const {
  for (const auto& [name, other] : entries_) {
    if (&other == &entry) return in_quotes(name);
  }
  return "an entry";
}

}  // namespace hqtrack
