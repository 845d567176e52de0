#include "tests/core/weights/torch_file_writer.h"

#include <fstream>
#include <iterator>

namespace hqtrack::testing {
namespace {

template <class Number>
std::string little_endian(Number value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(Number); ++i)
    bytes += static_cast<char>((static_cast<uint64_t>(value) >> (8 * i)) & 255);
  return bytes;
}
std::string u16(uint64_t value) { return little_endian(static_cast<uint16_t>(value)); }
std::string u32(uint64_t value) { return little_endian(static_cast<uint32_t>(value)); }
std::string u64(uint64_t value) { return little_endian(value); }

// Bit by bit, from the definition: the reader has tables.
uint32_t checksum(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

}  // namespace

std::string zip_archive(const std::vector<ArchiveEntry>& entries, const ZipOptions& options) {
  std::string file, table;
  for (const auto& [name, bytes] : entries) {
    const uint32_t crc = checksum(bytes) ^ (options.breaks_checksums ? 1 : 0);
    const std::string padding = name.size() % 2 == 0 ? u16(0x4246) + u16(3) + "ZZZ" : "";  // an extra field
    const std::string common = u16(0) + u16(options.is_compressed ? 8 : 0) + u16(0) + u16(0) + u32(crc) +
                               u32(bytes.size()) + u32(bytes.size()) + u16(name.size());
    table += "PK\x01\x02" + u16(0) + u16(0) + common + u16(0) + u16(0) + u16(0) + u16(0) + u32(0) +
             u32(file.size()) + name;
    file += "PK\x03\x04" + u16(0) + common + u16(padding.size()) + name + padding + bytes;
  }
  const size_t table_offset = file.size(), end_offset = table_offset + table.size(), count = entries.size();
  file += table;
  if (options.has_zip64_end) {
    file += "PK\x06\x06" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(count) + u64(count) +
            u64(table.size()) + u64(table_offset);
    file += "PK\x06\x07" + u32(0) + u64(end_offset) + u32(1);
  }
  const bool hides = options.has_zip64_end;
  file += "PK\x05\x06" + u16(0) + u16(0) + u16(hides ? 0xffff : count) + u16(hides ? 0xffff : count) +
          u32(hides ? 0xffffffff : table.size()) + u32(hides ? 0xffffffff : table_offset) + u16(0);
  return file;
}

std::string torch_archive(const std::string& pickle, const std::vector<std::string>& storages,
                          const ZipOptions& options) {
  std::vector<ArchiveEntry> entries = {{"weights/data.pkl", pickle}, {"weights/byteorder", "little"}};
  for (size_t i = 0; i < storages.size(); ++i)
    entries.push_back({"weights/data/" + std::to_string(i), storages[i]});
  entries.push_back({"weights/version", "3\n"});
  return zip_archive(entries, options);
}

std::string torch_chain(const std::string& pickle, const std::vector<ChainedStorage>& storages,
                        bool is_little_endian) {
  std::string file = PickleWriter().raw("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").finish();
  file += PickleWriter().integer(1001).finish();
  file += PickleWriter().raw("}").text("little_endian").raw(is_little_endian ? "\x88s" : "\x89s").finish();
  file += pickle;
  PickleWriter keys;
  keys.raw("]");
  for (const ChainedStorage& storage : storages) keys.text(storage.key).raw("a");
  file += keys.finish();
  for (const ChainedStorage& storage : storages) {
    file += u64(static_cast<uint64_t>(storage.numel)) + storage.bytes;
  }
  return file;
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

PickleWriter& PickleWriter::raw(const std::string& instructions) {
  bytes_ += instructions;
  return *this;
}
PickleWriter& PickleWriter::text(const std::string& value) { return raw("X" + u32(value.size()) + value); }
PickleWriter& PickleWriter::integer(int64_t value) {
  return raw(std::string("\x8a\x08") + u64(static_cast<uint64_t>(value)));
}
PickleWriter& PickleWriter::integers(const std::vector<int64_t>& values) {
  raw("(");
  for (const int64_t value : values) integer(value);
  return raw("t");
}
PickleWriter& PickleWriter::global(const std::string& module, const std::string& name) {
  return raw("c" + module + "\n" + name + "\n");
}
PickleWriter& PickleWriter::ordered_dict() { return global("collections", "OrderedDict").raw(")R"); }

PickleWriter& PickleWriter::tensor(const std::string& storage_class, const std::string& key, int64_t numel,
                                   int64_t offset, const std::vector<int64_t>& sizes,
                                   const std::vector<int64_t>& strides) {
  global("torch._utils", "_rebuild_tensor_v2").raw("(");
  raw("(").text("storage").global("torch", storage_class).text(key).text("cuda:0").integer(numel).raw("tQ");
  integer(offset).integers(sizes).integers(strides);
  return raw("\x89").ordered_dict().raw("tR");
}

std::string PickleWriter::finish() const { return bytes_ + "."; }

}  // namespace hqtrack::testing
