#include "core/weights/safetensors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/error.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little endian");

constexpr uint64_t kLongestHeader = 100'000'000;
constexpr const char* kMetadataKey = "__metadata__";

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr std::array<Dtype, 10> kDtypes = {{{"F64", at::kDouble},
                                            {"F32", at::kFloat},
                                            {"F16", at::kHalf},
                                            {"BF16", at::kBFloat16},
                                            {"I64", at::kLong},
                                            {"I32", at::kInt},
                                            {"I16", at::kShort},
                                            {"I8", at::kChar},
                                            {"U8", at::kByte},
                                            {"BOOL", at::kBool}}};

/// One tensor as the header describes it; offsets count from the end of the header.
struct Entry {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

json parse_header(const FileReader& file, const std::string& text) {
  std::vector<std::set<std::string>> names;  // of the objects that are open, to find doubled ones
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 3) file.fail("damaged: expected a header of names and tensors, found deeper nesting");
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second) {
      file.fail("damaged: header has the name " + in_quotes(value.get<std::string>()) + " twice");
    }
    return true;
  };
  try {
    json header = json::parse(text, check);
    if (!header.is_object())
      file.fail("damaged: expected a JSON object as header, found " + std::string(header.type_name()));
    return header;
  } catch (const json::exception&) {
    file.fail("damaged: the header is no valid JSON");
  }
}

/// a * b; empty when it does not fit.
std::optional<uint64_t> product(uint64_t a, uint64_t b) {
  uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

uint64_t unsigned_number(const FileReader& file, const std::string& name, const json& value) {
  constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kLargest) {
    file.fail("damaged: " + in_quotes(name) + ": expected whole numbers, found " + in_quotes(value.dump()));
  }
  return value.get<uint64_t>();
}

Entry parse_entry(const FileReader& file, const std::string& name, const json& value) {
  const auto fail = [&](const std::string& what) { file.fail("damaged: " + in_quotes(name) + ": " + what); };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets") || !value["dtype"].is_string() || !value["shape"].is_array() ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
    fail("expected dtype, shape and two data_offsets");
  }
  Entry entry;
  entry.name = name;
  const std::string dtype = value["dtype"].get<std::string>();
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return dtype == d.name; });
  if (known == kDtypes.end())
    fail("expected a dtype of F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL, found " + in_quotes(dtype));
  entry.type = known->type;
  std::optional<uint64_t> bytes = c10::elementSize(entry.type);
  bool is_empty = false;
  for (const json& edge : value["shape"]) {
    const uint64_t length = unsigned_number(file, name, edge);
    entry.shape.push_back(static_cast<int64_t>(length));
    is_empty = is_empty || length == 0;
    // Zeros are left out of the product, so that huge edges beside one are found as well.
    if (bytes) bytes = product(*bytes, std::max<uint64_t>(length, 1));
  }
  if (!bytes || *bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
      entry.shape.size() > 32) {
    fail("shape is too large");
  }
  if (is_empty) bytes = 0;
  entry.begin = unsigned_number(file, name, value["data_offsets"][0]);
  entry.end = unsigned_number(file, name, value["data_offsets"][1]);
  if (entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    fail("expected " + std::to_string(*bytes) + " bytes for its shape, found data_offsets " +
         std::to_string(entry.begin) + " to " + std::to_string(entry.end));
  }
  return entry;
}

void check_layout(const FileReader& file, std::vector<Entry>& entries, uint64_t data_bytes) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      file.fail("damaged: " + in_quotes(entry.name) + ": expected to begin at byte " +
                std::to_string(position) + " of the values, found " + std::to_string(entry.begin));
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    file.fail("damaged: expected " + std::to_string(position) + " bytes of values, found " +
              std::to_string(data_bytes));
  }
}

at::Tensor read_tensor(const FileReader& file, const Entry& entry, uint64_t data_offset) {
  at::Tensor tensor = allocate_tensor(file, entry.name, entry.shape, entry.type);
  const size_t bytes = entry.end - entry.begin;
  if (bytes == 0) return tensor;
  char* target = static_cast<char*>(tensor.data_ptr());
  file.read(data_offset + entry.begin, target, bytes);
  if (entry.type == at::kBool &&
      std::any_of(target, target + bytes, [](char c) { return c != 0 && c != 1; })) {
    file.fail("damaged: " + in_quotes(entry.name) +
              ": expected 0 or 1 in a BOOL tensor, found another value");
  }
  return tensor;
}

/// Order of the file: widest values first, so that everything is aligned; then by name.
std::vector<const NamedTensor*> file_order(const TensorFile& contents) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& entry : contents.tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const size_t size_a = a->tensor.element_size(), size_b = b->tensor.element_size();
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });
  return order;
}

std::string make_header(const fs::path& path, const TensorFile& contents,
                        const std::vector<const NamedTensor*>& order) {
  const auto fail = [&](const std::string& what) {
    throw WeightsError(path.string() + ": cannot be written: " + what);
  };
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!contents.metadata.empty()) header[kMetadataKey] = contents.metadata;
  std::set<std::string> names;
  uint64_t position = 0;
  for (const NamedTensor* entry : order) {
    if (entry->name.empty() || entry->name == kMetadataKey || !names.insert(entry->name).second) {
      fail("name " + in_quotes(entry->name) + " is empty, reserved or taken twice");
    }
    const at::ScalarType type = entry->tensor.scalar_type();
    const auto known =
        std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return type == d.type; });
    if (known == kDtypes.end())
      fail(in_quotes(entry->name) + " has the dtype " + c10::toString(type) + ", which the format lacks");
    const uint64_t end = position + entry->tensor.nbytes();
    header[entry->name] = {
        {"dtype", known->name}, {"shape", entry->tensor.sizes().vec()}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    fail("a name or a metadata text is no UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // the values begin aligned
  if (text.size() > kLongestHeader) fail("the header would be longer than 100 MB");
  return text;
}

/// A file that gets its name only when it is complete.
class AtomicFile {
 public:
  explicit AtomicFile(const fs::path& path) : path_(path) {
    temporary_ = path.string() + ".part-" + std::to_string(::getpid());
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail();
  }
  ~AtomicFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t count) {
    const char* position = static_cast<const char*>(data);
    while (count > 0) {
      const ssize_t done = ::write(descriptor_, position, count);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail();
      position += done;
      count -= static_cast<size_t>(done);
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0) fail();
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
    temporary_.clear();
  }

 private:
  [[noreturn]] void fail() const {
    throw OutputError(path_.string() + ": cannot be written: " + std::strerror(errno));
  }

  fs::path path_;
  std::string temporary_;  // empty once renamed
  int descriptor_ = -1;
};

}  // namespace

TensorFile read_safetensors(const FileReader& file) {
  if (file.size() < 8) file.fail("damaged: expected at least 8 bytes, found " + std::to_string(file.size()));
  uint64_t header_bytes = 0;
  file.read(0, &header_bytes, sizeof header_bytes);
  if (header_bytes > kLongestHeader || header_bytes > file.size() - 8) {
    file.fail("damaged: expected a header within the file and at most 100 MB long, found a length of " +
              std::to_string(header_bytes) + " bytes");
  }
  const json header = parse_header(file, file.read_text(8, header_bytes));
  TensorFile contents;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadataKey) {
      entries.push_back(parse_entry(file, name, value));
      continue;
    }
    if (!value.is_object())
      file.fail("damaged: expected an object as __metadata__, found " + std::string(value.type_name()));
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string())
        file.fail("damaged: __metadata__: expected a text for " + in_quotes(key) + ", found " +
                  text.type_name());
      contents.metadata[key] = text.get<std::string>();
    }
  }
  check_layout(file, entries, file.size() - 8 - header_bytes);
  for (const Entry& entry : entries)
    contents.tensors.push_back({entry.name, read_tensor(file, entry, 8 + header_bytes)});
  return contents;
}

TensorFile read_safetensors(const fs::path& path) { return read_safetensors(FileReader(path)); }

void write_safetensors(const fs::path& path, const TensorFile& contents) {
  const auto order = file_order(contents);
  const std::string header = make_header(path, contents, order);
  const uint64_t header_bytes = header.size();
  AtomicFile file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(header.data(), header.size());
  for (const NamedTensor* entry : order) {
    const at::Tensor values = entry->tensor.detach().to(at::kCPU).contiguous();
    if (values.nbytes() > 0) file.write(values.const_data_ptr(), values.nbytes());
  }
  file.commit();
}

}  // namespace hqtrack
