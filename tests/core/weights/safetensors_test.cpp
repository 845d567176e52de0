#include "core/weights/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "tests/core/weights/torch_file_writer.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

std::string with_length(const std::string& header, uint64_t length) {
  return {std::string(reinterpret_cast<const char*>(&length), 8) + header};
}

/// A file made by hand.
std::string file_of(const std::string& header, const std::string& values) {
  return with_length(header, header.size()) + values;
}

class Safetensors : public ::testing::Test {
 protected:
  TensorFile read(const std::string& bytes) const {
    testing::write_file(path_, bytes);
    return read_safetensors(path_);
  }

  std::string error_of(const std::string& bytes) const {
    try {
      read(bytes);
    } catch (const WeightsError& e) {
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
      EXPECT_EQ(std::string(e.what()).rfind(path_.string() + ": ", 0), 0u) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "read without an error: " << bytes.substr(8, 200);
    return "";
  }
  void expect_error(const std::string& header, const std::string& values, const std::string& part) const {
    const std::string message = error_of(file_of(header, values));
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }

  testing::TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "x.safetensors";
};

TEST_F(Safetensors, ReadsAFileWrittenByHand) {
  const TensorFile contents = read(file_of(
      R"({"b":{"dtype":"F32","shape":[2,1],"data_offsets":[3,11]},"__metadata__":{"by":"hand"},)"
      R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"s":{"dtype":"F16","shape":[],"data_offsets":[11,13]}}  )",
      "\x01\x02\xff" + testing::bytes_of<float>({1.5F, -2.0F}) + std::string("\x00\x3c", 2)));
  ASSERT_EQ(contents.tensors.size(), 3u);
  EXPECT_TRUE(at::equal(*contents.find("a"), at::tensor({1, 2, 255}, at::kByte)));
  EXPECT_TRUE(at::equal(*contents.find("b"), at::tensor({1.5F, -2.0F}).reshape({2, 1})));
  EXPECT_EQ(contents.find("s")->item<double>(), 1.0);
  EXPECT_EQ(contents.find("s")->dim(), 0);
  EXPECT_EQ(contents.metadata.at("by"), "hand");
}

TEST_F(Safetensors, WritesWhatItReads) {
  TensorFile contents;
  const at::Tensor base = at::arange(-5, 7).reshape({3, 4});
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                                    at::kShort, at::kChar, at::kByte, at::kBool}) {
    contents.tensors.push_back({std::string("t.") + c10::toString(type), base.to(type)});
    contents.tensors.push_back(
        {std::string("odd.") + c10::toString(type), base.to(type).reshape({12}).slice(0, 0, 5)});
  }
  contents.tensors.push_back({"transposed", base.t()});
  contents.tensors.push_back({"scalar", at::tensor(3.25)});
  contents.tensors.push_back({"empty", at::zeros({0, 7})});
  contents.tensors.push_back({"n\xc3\xa4me \"quoted\"", at::ones({1})});
  contents.metadata = {{"step", "12"}, {"note", "two\nlines"}};
  write_safetensors(path_, contents);
  const TensorFile again = read_safetensors(path_);
  EXPECT_EQ(again.metadata, contents.metadata);
  ASSERT_EQ(again.tensors.size(), contents.tensors.size());
  for (const NamedTensor& entry : contents.tensors) {
    const at::Tensor* found = again.find(entry.name);
    ASSERT_NE(found, nullptr) << entry.name;
    EXPECT_EQ(found->scalar_type(), entry.tensor.scalar_type()) << entry.name;
    EXPECT_TRUE(at::equal(*found, entry.tensor)) << entry.name;
  }
  // Nothing but the file itself is left, and the same contents give the same bytes.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 1);
  const std::string bytes = testing::read_file(path_);
  write_safetensors(path_, contents);
  EXPECT_EQ(testing::read_file(path_), bytes);
}

TEST_F(Safetensors, AlignsEveryTensor) {
  TensorFile contents;
  contents.tensors = {
      {"a", at::ones({3}, at::kByte)}, {"b", at::ones({3}, at::kDouble)}, {"c", at::ones({3}, at::kHalf)}};
  write_safetensors(path_, contents);
  const std::string bytes = testing::read_file(path_);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  EXPECT_EQ(header_bytes % 8, 0u);
  const auto header = nlohmann::json::parse(bytes.substr(8, header_bytes));
  EXPECT_EQ(header["b"]["data_offsets"][0], 0);
  EXPECT_EQ(header["c"]["data_offsets"][0], 24);
  EXPECT_EQ(header["a"]["data_offsets"][0], 30);
}

TEST_F(Safetensors, RejectsHeadersThatLie) {
  const std::string four = testing::bytes_of<float>({1});
  expect_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", four,
               "expected 8 bytes for its shape");
  expect_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", four,
               "expected 8 bytes of values, found 4");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", four + four,
               "expected to begin at byte 0");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", four,
               "found data_offsets 4 to 0");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", four + "x",
               "expected 4 bytes of values, found 5");
  expect_error(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      four + "xx", "'b': expected to begin at byte 4");
  expect_error(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      four, "'b': expected to begin at byte 4");
  expect_error(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      four + four, "the name 'a' twice");
  expect_error(R"({"a":{"dtype":"F32","dtype":"U8","shape":[1],"data_offsets":[0,4]}})", four,
               "'dtype' twice");
  expect_error(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", four, "found 'F8_E4M3'");
  expect_error(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", four,
               "expected whole numbers, found '-1'");
  expect_error(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", four, "expected whole numbers");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}})", four,
               "expected whole numbers");
  expect_error(R"({"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})", four,
               "too large");
  expect_error(R"({"a":{"dtype":"F32","shape":[0,4611686018427387905,4],"data_offsets":[0,0]}})", "",
               "too large");
  expect_error(R"({"a":{"dtype":"F32","shape":[1]}})", four, "expected dtype, shape and two data_offsets");
  expect_error(R"({"a":3})", four, "expected dtype, shape");
  expect_error(R"({"__metadata__":{"a":3}})", "", "expected a text for 'a', found number");
  expect_error(R"({"a":{"b":{"c":{"d":{}}}}})", "", "deeper nesting");
  expect_error(R"([1])", "", "expected a JSON object");
  expect_error(R"({"a":)", "", "no valid JSON");
  expect_error("{\"\xff\":{}}", "", "no valid JSON");
  expect_error(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02", "expected 0 or 1");
}

TEST_F(Safetensors, RejectsImpossibleLengths) {
  EXPECT_NE(error_of("").find("at least 8 bytes"), std::string::npos);
  EXPECT_NE(error_of("1234567").find("at least 8 bytes, found 7"), std::string::npos);
  EXPECT_NE(error_of(with_length("{}", 3)).find("header within the file"), std::string::npos);
  EXPECT_NE(error_of(with_length("{}", 100'000'001)).find("at most 100 MB"), std::string::npos);
  EXPECT_NE(error_of(with_length("{}", ~uint64_t{0})).find("header within the file"), std::string::npos);
  const std::string deep = std::string(1'000'000, '[');
  EXPECT_NE(error_of(file_of(deep, "")).find("deeper nesting"), std::string::npos);
}

TEST_F(Safetensors, AnyFlippedBitGivesTensorsOrAWeightsError) {
  TensorFile contents;
  contents.tensors = {
      {"a", at::ones({3}, at::kBool)}, {"layer.weight", at::ones({2, 3})}, {"c", at::ones({3}, at::kHalf)}};
  contents.metadata = {{"format", "pt"}};
  write_safetensors(path_, contents);
  const std::string good = testing::read_file(path_);
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good;
    for (int flips = 0; flips <= round % 3; ++flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    if (round % 5 == 0) bytes.resize(random() % bytes.size());
    try {
      read(bytes);
    } catch (const WeightsError&) {  // anything else ends the test
    }
  }
}

TEST_F(Safetensors, RefusesToWriteNamesThatCannotBeRead) {
  const auto expect_refused = [&](std::vector<NamedTensor> tensors) {
    EXPECT_THROW(write_safetensors(path_, TensorFile{std::move(tensors), {}}), WeightsError);
    EXPECT_FALSE(fs::exists(path_));
  };
  expect_refused({{"", at::ones({1})}});
  expect_refused({{"__metadata__", at::ones({1})}});
  expect_refused({{"a", at::ones({1})}, {"a", at::ones({2})}});
  expect_refused({{"\xff", at::ones({1})}});
  expect_refused({{"complex", at::ones({1}, at::kComplexFloat)}});
}

TEST_F(Safetensors, FailedWriteLeavesTheOldFile) {
  testing::write_file(path_, "old");
  EXPECT_THROW(write_safetensors(folder_.path() / "nowhere" / "x", {}), OutputError);
  fs::create_directory(folder_.path() / "taken");
  EXPECT_THROW(write_safetensors(folder_.path() / "taken", {}), OutputError);
  EXPECT_EQ(testing::read_file(path_), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 2);
}

}  // namespace
}  // namespace hqtrack
