#include "core/recording.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

TEST(Recording, CallsWhatItIsGivenWhereThereIsNoGpu) {
  Recording recording;
  const c10::InferenceMode guard;
  for (int i = 0; i < 3; ++i) {
    int calls = 0;
    const auto results = recording.run(at::full({2, 3}, i), [&](const at::Tensor& input) {
      ++calls;
      return std::vector<at::Tensor>{input + 1, input * 2};
    });
    EXPECT_EQ(calls, 1);
    ASSERT_EQ(results.size(), 2);
    EXPECT_TRUE(at::equal(results[0], at::full({2, 3}, i + 1)));
    EXPECT_TRUE(at::equal(results[1], at::full({2, 3}, 2 * i)));
  }
}

}  // namespace
}  // namespace hqtrack
