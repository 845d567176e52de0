#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "tests/tracker/preprocess_cases.h"

namespace hqtrack::testing {
namespace {

TEST(PreprocessGpu, IsWhatTheCpuDoes) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
  const c10::Device device(c10::kCUDA, 0);
  expect_same_input(device, [&](const at::Tensor& image, GridSize size, const PreprocessConfig& config) {
    return preprocess(image, size, config, device);
  });
}

}  // namespace
}  // namespace hqtrack::testing
