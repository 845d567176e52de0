#include "bench/baseline/operators.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/attention.h"
#include "tests/support/golden.h"
#include "tracker/encoders/dcnv3.h"

// What the benchmarks compare with is the same formula.
namespace hqtrack::testing {
namespace {

TEST(BaselineOperators, Attend) {
  at::manual_seed(1);
  const at::Tensor q = at::randn({1, 35, 8}), k = at::randn({1, 70, 8}), v = at::randn({1, 70, 12});
  EXPECT_TENSORS_CLOSE(baseline::attend(q, k, v), attend(q, k, v), 1e-5, 1e-5);
}

TEST(BaselineOperators, LocalAttention) {
  at::manual_seed(2);
  for (const auto& [grid, radius] : {std::pair(GridSize{5, 7}, 2), std::pair(GridSize{9, 4}, 7)}) {
    const int64_t n = grid.area(), side = 2 * radius + 1;
    const at::Tensor q = at::randn({1, n, 8}), k = at::randn({1, n, 8}), v = at::randn({1, n, 12}),
                     relative = at::randn({1, n, side * side});
    EXPECT_TENSORS_CLOSE(baseline::LocalAttention(grid, radius, at::kCPU)(q, k, v, relative),
                         attend_locally(q, k, v, relative, grid, radius), 1e-5, 1e-5);
  }
}

TEST(BaselineOperators, Dcnv3) {
  at::manual_seed(3);
  constexpr int64_t kGroups = 3;
  const at::Tensor value = at::randn({1, 6, 9, kGroups * 4}), offset = 3 * at::randn({1, 6, 9, kGroups * 18}),
                   mask = at::rand({1, 6, 9, kGroups * 9});
  EXPECT_TENSORS_CLOSE(baseline::dcnv3(value, offset, mask, kGroups),
                       dcnv3_reference(value, offset, mask, {.groups = kGroups}), 1e-4, 1e-4);
}

}  // namespace
}  // namespace hqtrack::testing
