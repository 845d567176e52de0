#include "cli/convert.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/error.h"
#include "core/weights/safetensors.h"
#include "core/weights/weights.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

class Convert : public ::testing::Test {
 protected:
  /// What the command prints.
  static std::string run(const std::vector<std::string>& args) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const auto printed = [] {
      return ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    };
    try {
      EXPECT_EQ(run_convert(args), 0);
    } catch (...) {
      printed();
      throw;
    }
    return printed();
  }

  testing::TemporaryFolder folder_;
  std::string checkpoint_ = (testing::repository_root() / "tests/data/weights/checkpoint.pth").string();
  std::string out_ = (folder_.path() / "out.safetensors").string();
};

TEST_F(Convert, WritesTheTensorsOfACheckpoint) {
  const std::string printed = run({checkpoint_, out_});
  EXPECT_EQ(printed, "info: " + out_ + ": 7 tensors, " + std::to_string(fs::file_size(out_)) + " bytes\n");
  const TensorFile before = read_weights(checkpoint_), after = read_safetensors(out_);
  ASSERT_EQ(after.tensors.size(), 7u);
  for (const NamedTensor& entry : before.tensors) {
    EXPECT_EQ(after.find(entry.name)->scalar_type(), entry.tensor.scalar_type()) << entry.name;
    EXPECT_TRUE(at::equal(*after.find(entry.name), entry.tensor)) << entry.name;
  }
}

TEST_F(Convert, ChangesTheTypeOfFloatingPointValuesOnly) {
  run({checkpoint_, out_, "--dtype", "float16"});
  const TensorFile contents = read_safetensors(out_);
  EXPECT_EQ(contents.find("layer.weight")->scalar_type(), at::kHalf);
  EXPECT_EQ((*contents.find("layer.weight"))[1][2].item<double>(), -1.75);
  EXPECT_EQ(contents.find("norm.num_batches_tracked")->scalar_type(), at::kLong);
  run({out_, (folder_.path() / "again.safetensors").string(), "--dtype=float32"});
  EXPECT_EQ(read_safetensors(folder_.path() / "again.safetensors").find("layer.weight")->scalar_type(),
            at::kFloat);
}

TEST_F(Convert, RefusesValuesTheTypeCannotHold) {
  const fs::path large = folder_.path() / "large.safetensors";
  write_safetensors(large, {{{"a", at::ones({2})}, {"b", at::full({2}, 1e6)}}, {}});
  try {
    run({large.string(), out_, "--dtype", "float16"});
    ADD_FAILURE() << "converted";
  } catch (const WeightsError& e) {
    EXPECT_EQ(std::string(e.what()),
              large.string() + ": 'b': expected values within Half, found larger ones");
  }
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(Convert, KeepsAFileThatIsThereUnlessTold) {
  std::ofstream(out_) << "old";
  EXPECT_THROW(run({checkpoint_, out_}), OutputError);
  EXPECT_EQ(fs::file_size(out_), 3u);
  run({checkpoint_, out_, "--overwrite"});
  EXPECT_EQ(read_safetensors(out_).tensors.size(), 7u);
}

TEST_F(Convert, RejectsCommandLinesThatMakeNoSense) {
  EXPECT_THROW(run({}), UsageError);
  EXPECT_THROW(run({checkpoint_}), UsageError);
  EXPECT_THROW(run({checkpoint_, out_, "more"}), UsageError);
  EXPECT_THROW(run({checkpoint_, (folder_.path() / "out.pth").string()}), UsageError);
  EXPECT_THROW(run({checkpoint_, out_, "--dtype", "int8"}), UsageError);
  run({checkpoint_, out_});
  EXPECT_THROW(run({out_, out_, "--overwrite"}), UsageError);
  EXPECT_THROW(run({(folder_.path() / "none.pth").string(), out_, "--overwrite"}), WeightsError);
  EXPECT_EQ(read_safetensors(out_).tensors.size(), 7u);
}

TEST_F(Convert, HelpFitsAScreenAndHasAnExample) {
  const std::string help = run({"--help"});
  EXPECT_NE(help.find("\n  hqtrack convert "), std::string::npos);
  EXPECT_LE(std::count(help.begin(), help.end(), '\n'), 24);
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 80u) << help.substr(begin, end - begin);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace hqtrack
