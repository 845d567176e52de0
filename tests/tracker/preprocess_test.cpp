#include <gtest/gtest.h>

#include "tests/tracker/preprocess_cases.h"

namespace hqtrack::testing {
namespace {

TEST(Preprocess, ByOperatorsIsWhatTheCpuDoes) { expect_same_input(c10::Device(c10::kCPU)); }

}  // namespace
}  // namespace hqtrack::testing
