#include "tests/support/npy.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

/// A .npy file with this header dict and these bytes of data.
class NpyFile {
 public:
  NpyFile(const std::string& header, const std::string& data, char version = 1) {
    std::string text = header + "\n";
    std::string bytes = std::string("\x93NUMPY") + version + '\0';
    bytes += static_cast<char>(text.size() & 0xff);
    bytes += static_cast<char>(text.size() >> 8);
    if (version > 1) bytes += std::string(2, '\0');
    write(bytes + text + data);
  }
  explicit NpyFile(const std::string& bytes) { write(bytes); }
  std::filesystem::path path() const { return folder_.path() / "array.npy"; }

 private:
  void write(const std::string& bytes) { std::ofstream(path(), std::ios::binary) << bytes; }
  TemporaryFolder folder_;
};

std::string header(const std::string& type, const std::string& shape, const std::string& order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

TEST(LoadNpy, ReadsEveryTypeInCOrder) {
  const NpyFile bytes(header("|u1", "(2, 3)"), bytes_of<uint8_t>({0, 1, 2, 253, 254, 255}));
  EXPECT_TRUE(load_npy(bytes.path()).equal(at::tensor({0, 1, 2, 253, 254, 255}, at::kByte).view({2, 3})));
  const NpyFile longs(header("<i8", "(2,)"), bytes_of<int64_t>({-5, int64_t{1} << 40}));
  EXPECT_TRUE(load_npy(longs.path()).equal(at::tensor({int64_t{-5}, int64_t{1} << 40}, at::kLong)));
  const NpyFile floats(header("<f4", "(1, 2, 1)"), bytes_of<float>({0.5F, -3.0F}));
  EXPECT_TRUE(load_npy(floats.path()).equal(at::tensor({0.5, -3.0}, at::kFloat).view({1, 2, 1})));
  const NpyFile doubles(header("<f8", "(2,)"), bytes_of<double>({0.1, 1e300}), 2);
  EXPECT_TRUE(load_npy(doubles.path()).equal(at::tensor({0.1, 1e300}, at::kDouble)));
}

TEST(LoadNpy, ReadsNumbersAndEmptyArrays) {
  const NpyFile number(header("<f8", "()"), bytes_of<double>({2.5}));
  EXPECT_EQ(load_npy(number.path()).dim(), 0);
  EXPECT_EQ(load_npy(number.path()).item<double>(), 2.5);
  const NpyFile nothing(header("<f4", "(0, 3)"), "");
  EXPECT_EQ(load_npy(nothing.path()).sizes(), at::IntArrayRef({0, 3}));
}

TEST(LoadNpy, RejectsWhatItCannotRead) {
  const std::string four(4, '\0'), huge = "(4611686018427387904, 8)";
  EXPECT_THROW(load_npy("/nowhere/array.npy"), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile("").path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile("no array, but long enough").path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header("<c8", "(2,)"), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header(">f4", "(1,)"), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header("<f4", "(1,)", "True"), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header("<f4", "(-1,)"), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header("<f4", "(x,)"), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header("<f4", "(1"), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile(header("<f4", huge), four).path()), std::runtime_error);
  EXPECT_THROW(load_npy(NpyFile("{'descr': '<f4', 'shape': (1,)}", four).path()), std::runtime_error);
}

TEST(LoadNpy, RejectsEveryTruncationAndExtraBytesNamingTheFile) {
  const NpyFile whole(header("<f4", "(2,)"), bytes_of<float>({1.0F, 2.0F}));
  std::ifstream stream(whole.path(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  for (size_t kept = 0; kept < bytes.size(); ++kept) {
    EXPECT_THROW(load_npy(NpyFile(bytes.substr(0, kept)).path()), std::runtime_error) << kept << " bytes";
  }
  const NpyFile longer(bytes + "x");
  try {
    load_npy(longer.path());
    FAIL() << "a byte too many went unnoticed";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), longer.path().string() + ": expected 8 bytes of data, found 9");
  }
}

}  // namespace
}  // namespace hqtrack::testing
