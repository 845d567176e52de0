#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hqtrack::testing {

/// A file inside an archive: name, bytes.
using ArchiveEntry = std::pair<std::string, std::string>;

struct ZipOptions {
  bool has_zip64_end = true;   // as PyTorch writes it
  bool is_compressed = false;  // claims method 8
  bool breaks_checksums = false;
};

/// Entries stored one after the other.
std::string zip_archive(const std::vector<ArchiveEntry>& entries, const ZipOptions& options = {});

/// What torch.save lays out: NAME/data.pkl, NAME/byteorder, NAME/data/0, NAME/data/1 ..., NAME/version.
std::string torch_archive(const std::string& pickle, const std::vector<std::string>& storages,
                          const ZipOptions& options = {});

/// What torch.save laid out before PyTorch 1.6, little-endian or not; storages: key, number of values, bytes.
struct ChainedStorage {
  std::string key;
  int64_t numel = 0;
  std::string bytes;
};
std::string torch_chain(const std::string& pickle, const std::vector<ChainedStorage>& storages,
                        bool is_little_endian = true);

void write_file(const std::filesystem::path& path, const std::string& bytes);
std::string read_file(const std::filesystem::path& path);

/// Raw bytes of values.
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// Appends the instructions of a pickle, protocol 2, as Python's pickler would.
class PickleWriter {
 public:
  PickleWriter& raw(const std::string& instructions);
  PickleWriter& text(const std::string& value);
  PickleWriter& integer(int64_t value);
  PickleWriter& integers(const std::vector<int64_t>& values);  // a tuple
  PickleWriter& global(const std::string& module, const std::string& name);
  PickleWriter& ordered_dict();
  /// A view of storage `key` of class torch.`storage_class` with `numel` values.
  PickleWriter& tensor(const std::string& storage_class, const std::string& key, int64_t numel,
                       int64_t offset, const std::vector<int64_t>& sizes,
                       const std::vector<int64_t>& strides);
  /// The finished pickle.
  std::string finish() const;

 private:
  std::string bytes_ = "\x80\x02";
};

}  // namespace hqtrack::testing
