#include "core/weights/torch_pickle.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "core/error.h"
#include "core/weights/pickle.h"
#include "core/weights/zip_reader.h"
#include "tests/core/weights/torch_file_writer.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using testing::PickleWriter;

fs::path data_file(const char* name) { return testing::repository_root() / "tests/data/weights" / name; }

/// The rule of make_torch_files.py: 0.25 i - 3.
at::Tensor numbers(at::IntArrayRef sizes, at::ScalarType type = at::kFloat) {
  const auto count = static_cast<double>(c10::multiply_integers(sizes));
  return at::arange(-3, -3 + 0.25 * count, 0.25, at::kDouble).to(type).reshape(sizes);
}

class TorchPickle : public ::testing::Test {
 protected:
  TensorFile read(const std::string& bytes) const {
    testing::write_file(path_, bytes);
    return read_torch_pickle(FileReader(path_));
  }

  /// The error's message; fails when there is none.
  std::string error_of(const std::string& bytes) const {
    try {
      read(bytes);
    } catch (const WeightsError& e) {
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
      EXPECT_EQ(std::string(e.what()).rfind(path_.string() + ": ", 0), 0u) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "read without an error";
    return "";
  }
  std::string error_of_pickle(const std::string& pickle,
                              const std::vector<std::string>& storages = {}) const {
    return error_of(testing::torch_archive(pickle, storages));
  }

  void expect_refused(const std::string& pickle, const std::string& global) const {
    const std::string message = error_of_pickle(pickle);
    EXPECT_NE(message.find("refused"), std::string::npos) << message;
    EXPECT_NE(message.find(global), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(folder_.path() / "executed"));
  }

  testing::TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "x.pth";
  std::string six_values_ = testing::bytes_of<float>({1, 2, 3, 4, 5, 6});
};

TEST_F(TorchPickle, ReadsCheckpointOfPyTorch) {
  const TensorFile contents = read_torch_pickle(FileReader(data_file("checkpoint.pth")));
  std::vector<std::string> names;
  for (const NamedTensor& entry : contents.tensors) names.push_back(entry.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"layer.weight", "layer.bias", "norm.weight", "norm.bias",
                                      "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}));
  EXPECT_TRUE(at::equal(*contents.find("layer.weight"), numbers({2, 3})));
  EXPECT_TRUE(at::equal(*contents.find("norm.weight"), at::ones({2})));
  EXPECT_EQ(contents.find("norm.num_batches_tracked")->scalar_type(), at::kLong);
}

TEST_F(TorchPickle, ReadsEveryTypeAndLayoutOfPyTorch) {
  const TensorFile contents = read_torch_pickle(FileReader(data_file("types.pth")));
  const auto expect = [&](const char* name, const at::Tensor& expected) {
    const at::Tensor* found = contents.find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->scalar_type(), expected.scalar_type()) << name;
    EXPECT_TRUE(at::equal(*found, expected)) << name;
  };
  expect("f64", numbers({3}, at::kDouble));
  expect("f16", numbers({2, 2}, at::kHalf));
  expect("bf16", numbers({2, 2}, at::kBFloat16));
  expect("i64", at::tensor({int64_t{-1}, int64_t{1} << 40}, at::kLong));
  expect("i32", at::tensor({-7, 7}, at::kInt));
  expect("i16", at::tensor({-300, 300}, at::kShort));
  expect("i8", at::tensor({-128, 127}, at::kChar));
  expect("u8", at::tensor({0, 255}, at::kByte));
  expect("bool", at::tensor({1, 0, 1}).to(at::kBool));
  expect("scalar", at::tensor(2.5, at::kFloat).reshape({}));
  expect("empty", at::ones({0, 3}));
  expect("whole", numbers({4, 6}));
  expect("transposed", numbers({4, 6}).t());
  expect("column", numbers({4, 6}).select(1, 2));
  expect("repeated", at::tensor({1.0F, 2.0F}).expand({3, 2}));
  expect("parameter", numbers({2}));
  EXPECT_EQ(contents.find("whole")->storage().data(), contents.find("column")->storage().data());
}

TEST_F(TorchPickle, TakesStateDictThenModelThenTopLevel) {
  const auto entry = [](PickleWriter& writer, const char* key, const char* tensor_name) {
    writer.text(key)
        .ordered_dict()
        .text(tensor_name)
        .tensor("FloatStorage", "0", 6, 0, {6}, {1})
        .raw("s")
        .raw("s");
  };
  PickleWriter both;
  both.raw("}");
  entry(both, "model", "b");
  entry(both, "state_dict", "a");
  EXPECT_NE(read(testing::torch_archive(both.finish(), {six_values_})).find("a"), nullptr);
  PickleWriter model;
  model.raw("}");
  model.text("epoch").integer(3).raw("s");
  entry(model, "model", "b");
  EXPECT_NE(read(testing::torch_archive(model.finish(), {six_values_})).find("b"), nullptr);
  PickleWriter bare;
  bare.ordered_dict().text("c").tensor("FloatStorage", "0", 6, 0, {6}, {1}).raw("s");
  EXPECT_NE(read(testing::torch_archive(bare.finish(), {six_values_})).find("c"), nullptr);
}

TEST_F(TorchPickle, ReadsArchiveWithoutZip64) {
  const std::string pickle =
      PickleWriter().raw("}").text("a").tensor("FloatStorage", "0", 6, 1, {2, 2}, {1, 3}).raw("s").finish();
  const TensorFile contents = read(testing::torch_archive(pickle, {six_values_}, {.has_zip64_end = false}));
  EXPECT_TRUE(at::equal(*contents.find("a"), at::tensor({2.0F, 5.0F, 3.0F, 6.0F}).reshape({2, 2})));
}

TEST_F(TorchPickle, ReadsOlderFileOfPyTorch) {
  const TensorFile contents = read_torch_pickle(FileReader(data_file("legacy.pth")));
  ASSERT_EQ(contents.tensors.size(), 1u);
  EXPECT_TRUE(at::equal(*contents.find("x"), numbers({2})));
}

TEST_F(TorchPickle, ReadsOlderFilesWithSharedAndUnusedStorages) {
  const std::string pickle = PickleWriter()
                                 .raw("}")
                                 .text("state_dict")
                                 .raw("}")
                                 .text("a")
                                 .tensor("FloatStorage", "94", 6, 1, {2, 2}, {1, 3})
                                 .raw("s")
                                 .text("b")
                                 .tensor("FloatStorage", "94", 6, 0, {6}, {1})
                                 .raw("ss")
                                 .text("other")
                                 .tensor("LongStorage", "12", 2, 0, {2}, {1})
                                 .raw("s")
                                 .finish();
  const std::string two = testing::bytes_of<int64_t>({7, 8});
  const std::string good = testing::torch_chain(pickle, {{"12", 2, two}, {"94", 6, six_values_}});
  const TensorFile contents = read(good);
  ASSERT_EQ(contents.tensors.size(), 2u);
  EXPECT_TRUE(at::equal(*contents.find("a"), at::tensor({2.0F, 5.0F, 3.0F, 6.0F}).reshape({2, 2})));
  EXPECT_EQ(contents.find("a")->storage().data(), contents.find("b")->storage().data());

  const auto expect = [&](const std::string& file, const char* part) {
    const std::string message = error_of(file);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  for (size_t size = 0; size < good.size(); ++size) EXPECT_NE(error_of(good.substr(0, size)), "") << size;
  expect(good + "x", "bytes behind the end");
  expect(testing::torch_chain(pickle, {{"12", 2, two}, {"94", 5, six_values_.substr(4)}}),
         "expected a storage of 6 values, found 5");
  expect(testing::torch_chain(pickle, {{"12", 2, two}}), "expected a storage of 6 values, found none");
  expect(testing::torch_chain(pickle, {{"13", 2, two}}), "nothing is known of the storage '13'");
  expect(testing::torch_chain(pickle, {{"12", int64_t{1} << 61, two}, {"94", 6, six_values_}}), "cut short");
  expect(testing::torch_chain(pickle, {{"12", 2, two}, {"94", 6, six_values_}}, false), "found big");
  expect(testing::torch_chain(PickleWriter()
                                  .raw("}")
                                  .text("a")
                                  .tensor("FloatStorage", "0", int64_t{1} << 58, 0, {1}, {1})
                                  .raw("s")
                                  .finish(),
                              {}),
         "larger than the file");
}

// ---- nothing is executed

TEST_F(TorchPickle, RefusesGlobalsThatRunCode) {
  const std::string command = "touch " + (folder_.path() / "executed").string();
  for (const auto& [module, name] :
       std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                        {"posix", "system"},
                                                        {"builtins", "eval"},
                                                        {"builtins", "exec"},
                                                        {"builtins", "getattr"},
                                                        {"subprocess", "Popen"},
                                                        {"torch", "load"},
                                                        {"torch.hub", "load"},
                                                        {"runpy", "_run_code"}}) {
    const std::string full = module + "." + name;
    expect_refused(PickleWriter().global(module, name).raw("(").text(command).raw("tR").finish(), full);
    expect_refused(PickleWriter().text(module).text(name).raw("\x93(").text(command).raw("tR").finish(),
                   full);
    expect_refused(PickleWriter().raw("(").text(command).raw("i" + module + "\n" + name + "\n").finish(),
                   full);
    // Beside honest tensors, in a part of the file that nobody asked for.
    expect_refused(PickleWriter()
                       .raw("}")
                       .text("state_dict")
                       .raw("}")
                       .raw("s")
                       .text("z")
                       .global(module, name)
                       .raw("(")
                       .text(command)
                       .raw("tRs")
                       .finish(),
                   full);
  }
}

TEST_F(TorchPickle, RefusesDottedNamesThroughAllowedModules) {
  expect_refused(
      PickleWriter().text("collections").text("OrderedDict.__init__.__globals__").raw("\x93").finish(),
      "collections.OrderedDict.__init__.__globals__");
  expect_refused(
      PickleWriter().text("torch._utils._rebuild_tensor_v2").text("__globals__").raw("\x93").finish(),
      "__globals__");
}

TEST_F(TorchPickle, NamesGlobalOfOrdinaryPythonObjects) {
  expect_refused(
      PickleWriter().raw("}").text("args").global("argparse", "Namespace").raw(")\x81}bs").finish(),
      "argparse.Namespace");
  expect_refused(PickleWriter().raw("}").text("best").global("numpy.core.multiarray", "scalar").finish(),
                 "numpy.core.multiarray.scalar");
}

TEST_F(TorchPickle, RefusesToCallWhatIsOnlyAName) {
  expect_refused(PickleWriter().global("torch", "FloatStorage").raw(")R").finish(), "torch.FloatStorage");
  expect_refused(PickleWriter().global("collections", "OrderedDict").raw(")\x81").finish(), "class");
  expect_refused(PickleWriter().raw("\x82\x01").finish(), "extension");
  expect_refused(PickleWriter().raw("]}b").finish(), "state");
}

// ---- damage

TEST_F(TorchPickle, RejectsViewsOutsideTheirStorage) {
  const auto message = [&](int64_t offset, const std::vector<int64_t>& sizes,
                           const std::vector<int64_t>& strides) {
    return error_of_pickle(PickleWriter()
                               .raw("}")
                               .text("a")
                               .tensor("FloatStorage", "0", 6, offset, sizes, strides)
                               .raw("s")
                               .finish(),
                           {six_values_});
  };
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_NE(message(0, {7}, {1}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(1, {6}, {1}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(-1, {2}, {1}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(0, {2, 3}, {4, 1}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(0, {kHuge, 2}, {0, 0}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(0, {3}, {kHuge}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(kHuge, {2}, {1}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(7, {0}, {1}).find("leaves its storage"), std::string::npos);
  EXPECT_NE(message(5, {2}, {-1}).find("negative"), std::string::npos);
  EXPECT_NE(message(0, {2, 3}, {1}).find("2 sizes and 1 strides"), std::string::npos);
  EXPECT_NE(message(0, {kHuge / 64}, {0}).find("repeats a small storage"), std::string::npos);
}

TEST_F(TorchPickle, RejectsStoragesThatDoNotFitTheirEntry) {
  const auto pickle = [](const char* key, int64_t numel, const char* storage_class = "FloatStorage") {
    return PickleWriter().raw("}").text("a").tensor(storage_class, key, numel, 0, {2}, {1}).raw("s").finish();
  };
  EXPECT_NE(error_of_pickle(pickle("0", 5), {six_values_}).find("expected a storage of 20 bytes, found 24"),
            std::string::npos);
  EXPECT_NE(error_of_pickle(pickle("1", 6), {six_values_}).find("storage '1' is missing"), std::string::npos);
  EXPECT_NE(error_of_pickle(pickle("../data.pkl", 6), {six_values_}).find("is missing"), std::string::npos);
  EXPECT_NE(error_of_pickle(pickle("0", 24, "BoolStorage"), {six_values_}).find("expected 0 or 1"),
            std::string::npos);
  EXPECT_NE(error_of_pickle(pickle("0", 6, "QInt8Storage"), {six_values_}).find("torch.QInt8Storage"),
            std::string::npos);
  const std::string two_ways = PickleWriter()
                                   .raw("}")
                                   .text("a")
                                   .tensor("FloatStorage", "0", 6, 0, {2}, {1})
                                   .raw("s")
                                   .text("b")
                                   .tensor("LongStorage", "0", 3, 0, {2}, {1})
                                   .raw("s")
                                   .finish();
  EXPECT_NE(error_of_pickle(two_ways, {six_values_}).find("in two ways"), std::string::npos);
}

TEST_F(TorchPickle, RejectsMalformedPickles) {
  const auto expect = [&](const std::string& pickle, const std::string& part) {
    const std::string message = error_of_pickle(pickle);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("", "cut short");
  expect("\x80\x02", "cut short");
  expect("\x80\x09.", "protocol");
  expect("\x80\x02.", "nothing on the stack");
  expect("\x80\x02t.", "no mark");
  expect("\x80\x02(.", "nothing on the stack");
  expect("\x80\x02}}.", "more than one object");
  expect("\x80\x02}.}", "behind the end");
  expect("\x80\x02h\x05.", "not stored");
  expect("\x80\x02(Nd.", "without value");
  expect("\x80\x02]N]s.", "expected a dict");
  expect("\x80\x02\xff.", "unknown instruction 255");
  expect("\x80\x02I1\n.", "unknown instruction");
  expect(
      "\x80\x02"
      "cos",
      "line without end");
  expect(std::string("\x80\x02X\xff\xff\xff\x7f", 7) + "abc", "cut short");
  expect("\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short");
  expect("\x80\x02NQ.", "expected a tuple");
  expect(PickleWriter().raw("(").text("module").raw("tQ").finish(), "persistent id");
  expect(PickleWriter().global("torch._utils", "_rebuild_tensor_v2").raw(")R").finish(), "too few arguments");
}

TEST_F(TorchPickle, SurvivesCyclesAndDeepNesting) {
  // d = {}; d["a"] = d, then lists in lists without end.
  EXPECT_NE(error_of_pickle(std::string("\x80\x02}q\x01X\x01\0\0\0"
                                        "ah\x01s.",
                                        15))
                .find("expected a tensor"),
            std::string::npos);
  std::string nested(200'000, ']');
  nested += std::string(199'999, 'a');
  EXPECT_NE(error_of_pickle("\x80\x02" + nested + ".").find("expected a dict of tensors, found a list"),
            std::string::npos);
}

TEST_F(TorchPickle, SaysWhatADictHoldsInsteadOfTensors) {
  EXPECT_NE(error_of_pickle(PickleWriter().raw("}").text("net").raw("}s").finish())
                .find("'net': expected a tensor"),
            std::string::npos);
  EXPECT_NE(error_of_pickle(PickleWriter().raw("}").finish()).find("an empty one"), std::string::npos);
  const std::string twice = PickleWriter()
                                .raw("}")
                                .text("a")
                                .tensor("FloatStorage", "0", 6, 0, {2}, {1})
                                .raw("s")
                                .text("a")
                                .tensor("FloatStorage", "0", 6, 2, {2}, {1})
                                .raw("s")
                                .finish();
  EXPECT_NE(error_of_pickle(twice, {six_values_}).find("'a' is there twice"), std::string::npos);
  const std::string message =
      error_of_pickle(PickleWriter().raw("}").text("evil\nname\x1b[2J").raw("Ns").finish());
  EXPECT_NE(message.find("'evil?name?[2J'"), std::string::npos) << message;
}

TEST_F(TorchPickle, RejectsDamagedArchives) {
  const std::string pickle =
      PickleWriter().raw("}").text("a").tensor("FloatStorage", "0", 6, 0, {6}, {1}).raw("s").finish();
  const std::string good = testing::torch_archive(pickle, {six_values_});
  ASSERT_EQ(read(good).tensors.size(), 1u);
  EXPECT_NE(error_of(good.substr(0, good.size() / 2)).find("cut short"), std::string::npos);
  EXPECT_NE(
      error_of(testing::torch_archive(pickle, {six_values_}, {.breaks_checksums = true})).find("checksum"),
      std::string::npos);
  EXPECT_NE(
      error_of(testing::torch_archive(pickle, {six_values_}, {.is_compressed = true})).find("compressed"),
      std::string::npos);
  EXPECT_NE(error_of(testing::zip_archive({{"a/b", "c"}})).find("without data.pkl"), std::string::npos);
  EXPECT_NE(error_of(testing::zip_archive({{"a/data.pkl", "c"}, {"a/data.pkl", "d"}})).find("twice"),
            std::string::npos);
  for (const bool is_compressed : {false, true}) {
    const std::string script = testing::zip_archive({{"a/constants.pkl", "c"}, {"a/data.pkl", "d"}},
                                                    {.is_compressed = is_compressed});
    EXPECT_NE(error_of(script).find("TorchScript"), std::string::npos);
  }
  EXPECT_NE(
      error_of(testing::zip_archive({{"a/byteorder", "big"}, {"a/data.pkl", pickle}})).find("found 'big'"),
      std::string::npos);
}

TEST_F(TorchPickle, EveryShorterFileIsAnError) {
  const std::string good = testing::read_file(data_file("types.pth"));
  for (size_t size = 0; size < good.size(); size += 61) EXPECT_NE(error_of(good.substr(0, size)), "") << size;
}

TEST_F(TorchPickle, AnyFlippedBitGivesTensorsOrAWeightsError) {
  std::mt19937 random(1);
  for (const char* name : {"types.pth", "checkpoint.pth", "legacy.pth"}) {
    const std::string good = testing::read_file(data_file(name));
    for (int round = 0; round < 300; ++round) {
      std::string bytes = good;
      for (int flips = 0; flips <= round % 3; ++flips)
        bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
      try {
        read(bytes);
      } catch (const WeightsError&) {  // anything else ends the test
      }
    }
  }
}

TEST_F(TorchPickle, AnyDamagedPickleGivesTensorsOrAWeightsError) {
  std::mt19937 random(2);
  const FileReader file(data_file("checkpoint.pth"));
  const ZipReader archive(file);
  const std::string good = archive.read_text(*archive.find("checkpoint/data.pkl"));
  ASSERT_NO_THROW(read_pickle(good, "good"));
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = good;
    for (int changes = 0; changes <= round % 4; ++changes)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      read_pickle(bytes, "damaged");
    } catch (const WeightsError&) {
    }
  }
}

TEST(Crc32, GivesTheValueOfTheStandard) {
  EXPECT_EQ(crc32("123456789", 9), 0xCBF43926u);
  EXPECT_EQ(crc32("", 0), 0u);
}

}  // namespace
}  // namespace hqtrack
