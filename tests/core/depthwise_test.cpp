#include "core/depthwise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/cpu_kernels.h"

namespace hqtrack {
namespace {

struct Case {
  int64_t height, width, channels, kernel, stride, padding;
};

// Odd maps, channels that leave a rest behind every vector, maps smaller than the filter, no padding.
constexpr Case kCases[] = {{15, 26, 96, 5, 1, 2}, {7, 9, 37, 3, 1, 1},  {29, 51, 40, 5, 2, 2},
                           {8, 8, 16, 3, 2, 1},   {3, 2, 24, 5, 1, 2},  {1, 1, 5, 3, 2, 1},
                           {11, 6, 33, 3, 1, 0},  {2, 17, 64, 7, 1, 3}, {6, 31, 48, 3, 1, 1}};

at::Tensor plain(const at::Tensor& map, const at::Tensor& weight, const at::Tensor& bias, const Case& c) {
  return at::conv2d(map.to(at::kDouble), weight.to(at::kDouble), bias.defined() ? bias.to(at::kDouble) : bias,
                    c.stride, c.padding, 1, c.channels);
}

TEST(Depthwise, EqualsTheConvolutionOfLibTorch) {
  at::manual_seed(1);
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.height << "x" << c.width << "x" << c.channels << " k" << c.kernel);
    const at::Tensor map = at::randn({2, c.channels, c.height, c.width});
    const at::Tensor weight = at::randn({c.channels, 1, c.kernel, c.kernel}), bias = at::randn({c.channels});
    const at::Tensor expected = plain(map, weight, bias, c);
    EXPECT_LT((depthwise_conv(map, weight, bias, c.stride, c.padding) - expected).abs().max().item<double>(),
              1e-5);
    EXPECT_LT((depthwise_conv(map, weight, {}, c.stride, c.padding) - plain(map, weight, {}, c))
                  .abs()
                  .max()
                  .item<double>(),
              1e-5);
    EXPECT_LT((depthwise_conv(map, weight, bias, c.stride, c.padding, 0, 0.5) - expected.clamp(0, 0.5))
                  .abs()
                  .max()
                  .item<double>(),
              1e-5);
  }
}

TEST(Depthwise, HasGradients) {
  at::manual_seed(2);
  const at::Tensor map = at::randn({1, 6, 5, 7}).requires_grad_(), weight = at::randn({6, 1, 3, 3});
  const at::Tensor out = depthwise_conv(map, weight, {}, 2, 1, 0, 6);
  out.sum().backward();
  const at::Tensor again = map.detach().clone().requires_grad_();
  at::conv2d(again, weight, {}, 2, 1, 1, 6).clamp(0, 6).sum().backward();
  EXPECT_TRUE(at::allclose(map.grad(), again.grad()));
}

TEST(Depthwise, RefusesWhatDoesNotFit) {
  EXPECT_THROW(depthwise_conv(at::zeros({1, 6, 5, 7}), at::zeros({5, 1, 3, 3}), {}, 1, 1), c10::Error);
  EXPECT_THROW(depthwise_conv(at::zeros({1, 6, 5, 7}), at::zeros({6, 1, 3, 5}), {}, 1, 1), c10::Error);
}

TEST(DepthwiseKernel, EveryInstructionSetGivesTheSame) {
  at::manual_seed(3);
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.height << "x" << c.width << "x" << c.channels << " k" << c.kernel);
    const at::Tensor map = at::randn({1, c.channels, c.height, c.width});
    const at::Tensor weight = at::randn({c.channels, 1, c.kernel, c.kernel}), bias = at::randn({c.channels});
    const at::Tensor expected = plain(map, weight, bias, c);
    const at::Tensor in = map.permute({0, 2, 3, 1}).contiguous(),
                     filters = weight.flatten(1).t().contiguous();
    std::vector<const float*> rows;
    for (int64_t y = 0; y < c.height; ++y) rows.push_back(in[0][y].const_data_ptr<float>());
    for (const CpuKernels* kernels : cpu_kernels()) {
      at::Tensor out = at::full({expected.size(2), expected.size(3), c.channels}, NAN, at::kFloat);
      kernels->depthwise.convolve_rows({.in = rows.data(),
                                        .weight = filters.const_data_ptr<float>(),
                                        .bias = bias.const_data_ptr<float>(),
                                        .height = c.height,
                                        .width = c.width,
                                        .channels = c.channels,
                                        .kernel = c.kernel,
                                        .stride = c.stride,
                                        .padding = c.padding,
                                        .lowest = -1,
                                        .highest = 2,
                                        .out_width = expected.size(3),
                                        .first_row = 0,
                                        .last_row = expected.size(2),
                                        .out = out.mutable_data_ptr<float>()});
      const at::Tensor difference = out - expected[0].permute({1, 2, 0}).clamp(-1, 2);
      EXPECT_LT(difference.abs().max().item<double>(), 1e-5);
    }
  }
}

}  // namespace
}  // namespace hqtrack
