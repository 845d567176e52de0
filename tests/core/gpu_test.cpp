#include <ATen/ATen.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/attention.h"
#include "core/dense.h"
#include "core/recording.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

/// Each test says that it was skipped where there is no GPU.
class CoreGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
    allow_tf32(false);
    at::manual_seed(3);
  }
  c10::InferenceMode guard_;
};

at::Tensor on_gpu(const at::Tensor& tensor) { return tensor.to(at::kCUDA); }

TEST_F(CoreGpu, LocalAttentionIsWhatTheCpuComputes) {
  for (const GridSize grid : {GridSize{1, 1}, {9, 13}, {30, 53}}) {
    const at::Tensor q = at::randn({2, grid.area(), 64}), k = at::randn({2, grid.area(), 64}),
                     v = at::randn({2, grid.area(), 300}), relative = at::randn({2, grid.area(), 225});
    EXPECT_TENSORS_CLOSE(attend_locally(on_gpu(q), on_gpu(k), on_gpu(v), on_gpu(relative), grid, 7).cpu(),
                         attend_locally(q, k, v, relative, grid, 7), 1e-4, 1e-4);
  }
}

TEST_F(CoreGpu, AttentionIsWhatTheCpuComputes) {
  const at::Tensor q = at::randn({1, 1000, 64}), k = at::randn({1, 9000, 64}), v = at::randn({1, 9000, 128});
  const at::Tensor expected = attend(q, k, v);
  EXPECT_TENSORS_CLOSE(attend(on_gpu(q), on_gpu(k), on_gpu(v)).cpu(), expected, 1e-4, 1e-4);
  EXPECT_TENSORS_CLOSE(attend(on_gpu(q), on_gpu(k), on_gpu(v), Precision::kFloat16).cpu(), expected, 0, 2e-3);
}

TEST_F(CoreGpu, LayersOfFewerBitsAreNearThoseOfFloat32) {
  for (const auto& [precision, bound] :
       {std::pair{Precision::kFloat16, 1.0 / 500}, {Precision::kBFloat16, 1.0 / 60}}) {
    Linear linear(300, 200);
    Conv2d conv(torch::nn::Conv2dOptions(16, 32, 3).padding(1)),
        depthwise(torch::nn::Conv2dOptions(16, 16, 3).padding(1).groups(16));
    ConvTranspose2d transposed(torch::nn::ConvTranspose2dOptions(16, 8, 2).stride(2));
    const at::Tensor x = at::randn({50, 300}), map = at::randn({1, 16, 20, 30});
    const at::Tensor expected[] = {linear(x), conv(map), depthwise(map), transposed(map)};
    for (const auto& layer :
         std::vector<torch::nn::Module*>{linear.get(), conv.get(), depthwise.get(), transposed.get()}) {
      layer->to(at::kCUDA);
      dynamic_cast<HasPrecision&>(*layer).use(precision);
    }
    EXPECT_EQ(linear->weight.scalar_type(), type_of(precision));
    EXPECT_EQ(depthwise->weight.scalar_type(), at::kFloat);
    EXPECT_TENSORS_CLOSE(linear(on_gpu(x)).cpu(), expected[0], 0, 5 * bound);
    EXPECT_TENSORS_CLOSE(conv(on_gpu(map)).cpu(), expected[1], 0, 5 * bound);
    EXPECT_TENSORS_CLOSE(depthwise(on_gpu(map)).cpu(), expected[2], 0, 1e-4);
    EXPECT_TENSORS_CLOSE(transposed(on_gpu(map)).cpu(), expected[3], 0, 5 * bound);
  }
}

TEST_F(CoreGpu, ARecordingGivesTheSameForEveryInputAndStream) {
  Recording recording;
  const at::Tensor weight = at::randn({40, 40}, at::kCUDA);
  const auto device = at::Device(at::kCUDA, 0);
  for (int i = 0; i < 6; ++i) {
    const at::Tensor input = at::randn({30, 40}, at::kCUDA), expected = at::mm(input, weight).relu();
    const c10::Stream before = c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device);
    const c10::StreamGuard stream(
        i % 2 ? c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(device) : before);
    before.synchronize();
    const auto results = recording.run(input, [&](const at::Tensor& given) {
      return std::vector<at::Tensor>{at::mm(given, weight).relu()};
    });
    EXPECT_TENSORS_CLOSE(results.at(0).cpu(), expected.cpu(), 0, 1e-5) << i;
  }
}

TEST_F(CoreGpu, WhatCannotBeRecordedIsComputedAllTheSame) {
  Recording recording;
  for (int i = 0; i < 4; ++i) {
    const auto results = recording.run(at::full({3}, i, at::kCUDA), [](const at::Tensor& input) {
      return std::vector<at::Tensor>{input * input.sum().item<double>()};  // waits for the device
    });
    EXPECT_EQ(results.at(0)[0].item<double>(), 3.0 * i * i) << i;
  }
}

}  // namespace
}  // namespace hqtrack
