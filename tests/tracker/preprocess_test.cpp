#include <gtest/gtest.h>

#include "tests/tracker/preprocess_cases.h"
#include "tracker/preprocess_pixel.h"

namespace hqtrack::testing {
namespace {

// The function that a GPU's threads run, here one after the other.
TEST(Preprocess, PixelByPixelIsWhatTheCpuDoes) {
  expect_same_input(c10::kCPU, [](const at::Tensor& image, GridSize size, const PreprocessConfig& config) {
    const BicubicInput input = bicubic_input(image, size, config);
    at::Tensor values = at::empty({1, size.height, size.width, 3});
    float* value = values.mutable_data_ptr<float>();
    for (int y = 0; y < input.out_height; ++y) {
      for (int x = 0; x < input.out_width; ++x, value += 3) bicubic_pixel(input, x, y, value);
    }
    return values.permute({0, 3, 1, 2});
  });
}

}  // namespace
}  // namespace hqtrack::testing
