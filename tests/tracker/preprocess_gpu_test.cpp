#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "tests/tracker/preprocess_cases.h"

namespace hqtrack::testing {
namespace {

TEST(PreprocessGpu, IsWhatTheCpuDoes) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
  expect_same_input(c10::Device(c10::kCUDA, 0));
}

}  // namespace
}  // namespace hqtrack::testing
