#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/tracker/dcnv3_cases.h"
#include "tracker/encoders/dcnv3.h"

namespace hqtrack::testing {
namespace {

/// The CUDA kernels against the CPU kernels. half and bfloat16 are compared with float (on the same rounded
/// inputs).
class Dcnv3Gpu : public ::testing::TestWithParam<Dcnv3Case> {
 protected:
  void SetUp() override {
    if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
  }

  void compare(at::ScalarType type, double tolerance) const {
    const Dcnv3Inputs rounded(GetParam(), type);
    Dcnv3Inputs on_cpu = rounded, on_gpu = rounded;
    const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
    for (auto* tensor : {&on_cpu.value, &on_cpu.offset, &on_cpu.mask, &on_cpu.grad_output})
      *tensor = tensor->to(wide);
    for (auto* tensor : {&on_gpu.value, &on_gpu.offset, &on_gpu.mask, &on_gpu.grad_output}) {
      *tensor = tensor->to(at::kCUDA);
    }
    const auto expected = run_dcnv3(dcnv3, on_cpu, GetParam().options);
    const auto actual = run_dcnv3(dcnv3, on_gpu, GetParam().options);
    EXPECT_EQ(actual.output.scalar_type(), type);
    EXPECT_EQ(actual.grad_value.scalar_type(), type);
    EXPECT_TENSORS_CLOSE(actual.output, expected.output, tolerance, tolerance);
    EXPECT_TENSORS_CLOSE(actual.grad_value, expected.grad_value, tolerance, tolerance);
    EXPECT_TENSORS_CLOSE(actual.grad_offset, expected.grad_offset, tolerance, tolerance);
    EXPECT_TENSORS_CLOSE(actual.grad_mask, expected.grad_mask, tolerance, tolerance);
  }
};
INSTANTIATE_TEST_SUITE_P(, Dcnv3Gpu, ::testing::ValuesIn(dcnv3_cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Dcnv3Gpu, MatchesTheCpuInDouble) { compare(at::kDouble, 1e-12); }
TEST_P(Dcnv3Gpu, MatchesTheCpuInFloat) { compare(at::kFloat, 1e-4); }
TEST_P(Dcnv3Gpu, MatchesTheCpuInHalf) { compare(at::kHalf, 2e-3); }
TEST_P(Dcnv3Gpu, MatchesTheCpuInBfloat16) { compare(at::kBFloat16, 1.6e-2); }

TEST(Dcnv3GpuSizes, EmptyBatchesAndChannelsGiveEmptyResults) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
  for (const auto& c : {Dcnv3Case{"no_pictures", 0, 5, 6, 16, 1.0, {.groups = 2}},
                        Dcnv3Case{"no_channels", 2, 5, 6, 0, 1.0, {.groups = 2}}}) {
    Dcnv3Inputs inputs(c, at::kFloat);
    for (auto* tensor : {&inputs.value, &inputs.offset, &inputs.mask, &inputs.grad_output}) {
      *tensor = tensor->to(at::kCUDA);
    }
    const auto outcome = run_dcnv3(dcnv3, inputs, c.options);
    EXPECT_EQ(outcome.output.sizes(), inputs.grad_output.sizes()) << c;
    EXPECT_EQ(outcome.grad_mask.abs().sum().item<float>(), 0.0F) << c;
  }
}

TEST(Dcnv3GpuInputs, RejectsTensorsOfTwoDevices) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
  const Dcnv3Case c{"devices", 1, 5, 6, 4, 1.0, {}};
  const Dcnv3Inputs inputs(c, at::kFloat);
  EXPECT_THROW(dcnv3(inputs.value.to(at::kCUDA), inputs.offset, inputs.mask, c.options), c10::Error);
}

}  // namespace
}  // namespace hqtrack::testing
