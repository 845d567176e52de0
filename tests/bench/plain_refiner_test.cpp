#include "bench/baseline/plain_refiner.h"

#include <gtest/gtest.h>

#include "refiner/refiner.h"
#include "tests/refiner/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

TEST(PlainRefiner, AgreesObjectByObject) {
  const RefinerConfig config = tiny_config();
  const HqSam network = tiny_network(config);
  const at::Tensor picture = picture_with_square(60, 90, 20, 10, 25);
  at::Tensor labels = at::zeros({60, 90}, at::kByte);
  labels.narrow(0, 10, 25).narrow(1, 20, 25).fill_(1);
  labels.narrow(0, 40, 12).narrow(1, 60, 20).fill_(7);
  const auto ours = Refiner(network, config).refine(picture, labels);
  const auto plain = baseline::PlainRefiner(network, config).refine(picture, labels);
  ASSERT_EQ(ours.size(), 2);
  ASSERT_EQ(plain.size(), 2);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(plain[i].id, ours[i].id);
    EXPECT_NEAR(plain[i].score, ours[i].score, 1e-3);
    EXPECT_TENSORS_CLOSE(plain[i].logits, ours[i].logits, 1e-3, 1e-3);
  }
}

}  // namespace
}  // namespace hqtrack::testing
