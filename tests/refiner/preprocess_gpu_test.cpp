#include "tests/refiner/network_input_cases.h"

namespace hqtrack::testing {
namespace {

TEST(NetworkInputGpu, IsWhatTheCpuDoes) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
  const c10::Device device(c10::kCUDA, 0);
  expect_same_network_input(
      device, [&](const at::Tensor& image, GridSize resized, const InputForm& form, int64_t image_size) {
        return network_input(image, resized, form, image_size, device);
      });
}

}  // namespace
}  // namespace hqtrack::testing
