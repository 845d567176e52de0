#include "train/memory_damage.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

/// Object 3 on the left, object 7 on the right.
at::Tensor two_objects() {
  at::Tensor labels = at::zeros({64, 64}, at::kByte);
  labels.slice(0, 10, 40).slice(1, 5, 25).fill_(3);
  labels.slice(0, 20, 60).slice(1, 35, 60).fill_(7);
  return labels;
}

TEST(MemoryDamage, ChangesMapsWithoutInventingLabels) {
  int changed = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    Random random(1, i);
    at::Tensor labels = two_objects();
    damage_labels(labels, {3, 7}, random);
    EXPECT_TRUE(((labels == 0) | (labels == 3) | (labels == 7)).all().item<bool>()) << i;
    changed += !labels.equal(two_objects());
  }
  EXPECT_GT(changed, 150);
}

TEST(MemoryDamage, SameDrawsGiveTheSameDamage) {
  Random one(5), two(5);
  at::Tensor a = two_objects(), b = two_objects();
  damage_labels(a, {3, 7}, one);
  damage_labels(b, {3, 7}, two);
  EXPECT_TRUE(a.equal(b));
}

TEST(MemoryDamage, CanTakeAnObjectThatIsNotThere) {
  for (uint64_t i = 0; i < 100; ++i) {
    Random random(2, i);
    at::Tensor labels = at::zeros({33, 33}, at::kByte);
    damage_labels(labels, {4}, random);
    EXPECT_TRUE(((labels == 0) | (labels == 4)).all().item<bool>());
  }
}

TEST(MemoryDamage, RejectsOtherMaps) {
  Random random(1);
  at::Tensor wrong = at::zeros({2, 8, 8}, at::kByte), type = at::zeros({8, 8}, at::kFloat),
             fine = two_objects();
  EXPECT_THROW(damage_labels(wrong, {1}, random), c10::Error);
  EXPECT_THROW(damage_labels(type, {1}, random), c10::Error);
  EXPECT_THROW(damage_labels(fine, {}, random), c10::Error);
}

}  // namespace
}  // namespace hqtrack
