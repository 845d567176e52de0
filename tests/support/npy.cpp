#include "tests/support/npy.h"

#include <ATen/ops/empty.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hqtrack::testing {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& reason) {
  throw std::runtime_error(file.string() + ": " + reason);
}

std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail(file, "cannot be opened");
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The text behind `'key':` in the header, which is a Python dict in one line.
std::string_view value_of(const std::filesystem::path& file, std::string_view header,
                          const std::string& key) {
  const size_t at = header.find("'" + key + "':");
  if (at == std::string_view::npos) fail(file, "expected '" + key + "' in the header, found none");
  header.remove_prefix(at + key.size() + 3);
  const size_t blanks = header.find_first_not_of(' ');
  header.remove_prefix(blanks == std::string_view::npos ? header.size() : blanks);
  return header;
}

at::ScalarType element_type(const std::filesystem::path& file, std::string_view descr) {
  if (descr.starts_with("'|u1'")) return at::kByte;
  if (descr.starts_with("'<i8'")) return at::kLong;
  if (descr.starts_with("'<f2'")) return at::kHalf;
  if (descr.starts_with("'<f4'")) return at::kFloat;
  if (descr.starts_with("'<f8'")) return at::kDouble;
  fail(file, "expected element type |u1, <i8, <f2, <f4 or <f8, found " + std::string(descr.substr(0, 5)));
}

std::vector<int64_t> sizes_of(const std::filesystem::path& file, std::string_view shape) {
  const size_t end = shape.find(')');
  if (!shape.starts_with('(') || end == std::string_view::npos)
    fail(file, "expected a shape in brackets, found none");
  std::vector<int64_t> sizes;
  const char *at = shape.data() + 1, *last = shape.data() + end;
  while (at < last) {
    int64_t size = 0;
    const auto [next, error] = std::from_chars(at, last, size);
    if (error != std::errc() || size < 0)
      fail(file, "expected sizes in shape " + std::string(shape.substr(0, end + 1)));
    sizes.push_back(size);
    at = next;
    while (at < last && (*at == ',' || *at == ' ')) ++at;
  }
  return sizes;
}

int64_t bytes_of(const std::filesystem::path& file, const std::vector<int64_t>& sizes,
                 int64_t element_bytes) {
  int64_t bytes = element_bytes;
  for (const int64_t size : sizes) {
    if (size > 0 && bytes > std::numeric_limits<int64_t>::max() / size)
      fail(file, "shape too large for memory");
    bytes *= size;
  }
  return bytes;
}

}  // namespace

at::Tensor load_npy(const std::filesystem::path& file) {
  const std::string bytes = read_bytes(file);
  const auto byte = [&](size_t index) {
    return static_cast<size_t>(static_cast<unsigned char>(bytes[index]));
  };
  if (bytes.size() < 12 || !bytes.starts_with("\x93NUMPY"))
    fail(file, "expected a .npy file, found other contents");
  const bool has_long_header = byte(6) >= 2;
  const size_t header_at = has_long_header ? 12 : 10;
  size_t header_bytes = byte(8) | byte(9) << 8;
  if (has_long_header) header_bytes |= byte(10) << 16 | byte(11) << 24;
  if (bytes.size() < header_at + header_bytes) fail(file, "the header is cut off");

  const std::string_view header = std::string_view(bytes).substr(header_at, header_bytes);
  if (!value_of(file, header, "fortran_order").starts_with("False"))
    fail(file, "expected C order, found Fortran order");
  const auto type = element_type(file, value_of(file, header, "descr"));
  const auto sizes = sizes_of(file, value_of(file, header, "shape"));
  const auto expected =
      static_cast<size_t>(bytes_of(file, sizes, static_cast<int64_t>(at::elementSize(type))));
  const size_t data_at = header_at + header_bytes;
  if (bytes.size() - data_at != expected) {
    fail(file, "expected " + std::to_string(expected) + " bytes of data, found " +
                   std::to_string(bytes.size() - data_at));
  }
  auto tensor = at::empty(sizes, at::TensorOptions().dtype(type));
  if (expected > 0) std::memcpy(tensor.mutable_data_ptr(), bytes.data() + data_at, expected);
  return tensor;
}

}  // namespace hqtrack::testing
