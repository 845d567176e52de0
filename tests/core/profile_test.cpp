#include "core/profile.h"

#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "core/attention.h"
#include "core/dense.h"
#include "core/threads.h"

namespace hqtrack::testing {
namespace {

constexpr auto kHead = static_cast<size_t>(Stage::kHead);

/// What `work` counts as a part of a stage.
template <class Work>
double flops_of(Work work) {
  const c10::InferenceMode guard;
  Profile profile(c10::kCPU);
  {
    const StageTimer timer(Stage::kHead);
    work();
  }
  return profile.take()[kHead].flops;
}

TEST(Profile, CountsTheProductsOfLayers) {
  EXPECT_EQ(flops_of([] { Linear(8, 5)(at::ones({3, 8})); }), 2 * 3 * 8 * 5);
  // 7 x 9 cells at stride 2 leave 4 x 5; 3 x 3 pixels of 4 channels are looked at for each of 6.
  EXPECT_EQ(flops_of([] {
              Conv2d(torch::nn::Conv2dOptions(4, 6, 3).stride(2).padding(1))(at::ones({1, 4, 7, 9}));
            }),
            2 * 4 * 5 * 6 * 3 * 3 * 4);
  EXPECT_EQ(flops_of([] {
              Conv2d(torch::nn::Conv2dOptions(4, 6, 1))(at::ones({1, 4, 7, 9}));
            }),
            2 * 7 * 9 * 6 * 4);
  EXPECT_EQ(flops_of([] {
              Conv2d(torch::nn::Conv2dOptions(4, 4, 5).padding(2).groups(4))(at::ones({1, 4, 7, 9}));
            }),
            2 * 7 * 9 * 4 * 5 * 5);
}

TEST(Profile, CountsTheProductsOfAttentions) {
  EXPECT_EQ(flops_of([] {
              attend(at::ones({2, 3, 4}), at::ones({2, 7, 4}), at::ones({2, 7, 5}));
            }),
            2 * 2 * 3 * 7 * (4 + 5));
  for (const int64_t radius : {1, 2, 9}) {
    constexpr GridSize kGrid{3, 5};
    int64_t pairs = 0;
    for (int64_t a = 0; a < kGrid.area(); ++a) {
      for (int64_t b = 0; b < kGrid.area(); ++b) {
        const bool sees = std::abs(a / kGrid.width - b / kGrid.width) <= radius &&
                          std::abs(a % kGrid.width - b % kGrid.width) <= radius;
        pairs += sees ? 1 : 0;
      }
    }
    const int64_t side = 2 * radius + 1;
    const at::Tensor q = at::ones({1, kGrid.area(), 4}), v = at::ones({1, kGrid.area(), 6});
    EXPECT_EQ(flops_of([&] {
                attend_locally(q, q, v, at::ones({1, kGrid.area(), side * side}), kGrid, radius);
              }),
              static_cast<double>(2 * pairs * (4 + 6)))
        << "radius " << radius;
  }
}

TEST(Profile, CountsWhatAHelpingThreadDoes) {
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  const auto product = [] { Linear(8, 5)(at::ones({3, 8})); };
  EXPECT_EQ(flops_of([&] { run_both(product, product); }), 2 * 2 * 3 * 8 * 5);
  at::set_num_threads(threads);
}

TEST(Profile, MeasuresStagesOfAllThreadsAndBeginsAnewWhenTaken) {
  Profile profile(c10::kCPU);
  const auto work = [] {
    const StageTimer timer(Stage::kHead);
    count_flops(7);
  };
  std::thread other(work);
  work();
  other.join();
  count_flops(100);  // of no stage
  const StageCosts costs = profile.take();
  EXPECT_EQ(costs[kHead].flops, 14);
  EXPECT_GT(costs[kHead].seconds, 0);
  EXPECT_EQ(costs[static_cast<size_t>(Stage::kMemory)].seconds, 0);
  EXPECT_EQ(profile.take()[kHead].flops, 0);
}

TEST(FlopCount, CountsWhatItsThreadDoesWhereNobodyMeasures) {
  count_flops(1);
  {
    const FlopCount count;
    count_flops(5);
    std::thread([] { count_flops(100); }).join();
    count_flops(6);
    EXPECT_EQ(count.flops(), 11);
    EXPECT_THROW(FlopCount(), c10::Error);
  }
  const FlopCount another;
  EXPECT_EQ(another.flops(), 0);
}

TEST(Profile, OneAtATime) {
  const Profile profile(c10::kCPU);
  EXPECT_THROW(Profile(c10::kCPU), c10::Error);
}

}  // namespace
}  // namespace hqtrack::testing
