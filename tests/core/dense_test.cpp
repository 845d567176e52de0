#include "core/dense.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "core/cpu_kernels.h"
#include "core/layers.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

double largest_difference(const at::Tensor& found, const at::Tensor& expected) {
  return (found.to(at::kDouble) - expected).abs().max().item<double>();
}

// Numbers that the kernel can hold: their products and sums are then of float32.
at::Tensor exact_inputs(Precision precision, int64_t rows, int64_t depth) {
  if (precision == Precision::kFloat32) return at::randn({rows, depth});
  if (precision == Precision::kBFloat16) return at::randn({rows, depth}).to(at::kBFloat16).to(at::kFloat);
  at::Tensor numbers = at::randint(0, 256, {rows, depth}, at::kFloat);
  numbers.select(1, 0).fill_(0);
  numbers.select(1, depth - 1).fill_(255);
  return (numbers - 77) / 128;
}

at::Tensor exact_weight(Precision precision, int64_t width, int64_t depth) {
  if (precision != Precision::kInt8) return exact_inputs(precision, width, depth);
  at::Tensor numbers = at::randint(-127, 128, {width, depth}, at::kFloat);
  numbers.select(1, depth / 2).fill_(-127);
  return numbers / 256;
}

void expect_products(const MatrixKernel& kernel, Precision precision) {
  struct Size {
    int64_t rows, depth, width;
  };
  at::manual_seed(3);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Size& s : {Size{1, 1, 1}, Size{47, 24, 144}, Size{49, 96, 33}, Size{130, 3, 65},
                        Size{7, 480, 80}, Size{96, 64, 225}}) {
    SCOPED_TRACE(::testing::Message()
                 << "panel " << kernel.panel << ": " << s.rows << " x " << s.depth << " x " << s.width);
    const at::Tensor in = exact_inputs(precision, s.rows, s.depth),
                     weight = exact_weight(precision, s.width, s.depth), bias = at::randn({s.width});
    const int64_t panels = kernel.panels_of(s.width);
    at::Tensor packed = at::full({kernel.packed_size(s.width, s.depth)}, nan);
    for (int64_t i = 0; i < panels; ++i) {
      kernel.pack_rows(weight.const_data_ptr<float>(), s.depth, s.width, s.depth, i,
                       packed.mutable_data_ptr<float>());
    }
    const int64_t stride = s.width + 3;
    at::Tensor out = at::full({s.rows, stride}, nan);
    MatrixKernel::Rows rows{.in = in.const_data_ptr<float>(),
                            .weight = packed.const_data_ptr<float>(),
                            .bias = bias.const_data_ptr<float>(),
                            .num_rows = s.rows,
                            .depth = s.depth,
                            .width = s.width,
                            .lowest = -1,
                            .highest = 2,
                            .out = out.mutable_data_ptr<float>(),
                            .out_stride = stride};
    kernel.multiply(rows);
    const at::Tensor product = at::mm(in.to(at::kDouble), weight.to(at::kDouble).t());
    const auto found = [&] { return out.narrow(1, 0, s.width); };
    EXPECT_LT(largest_difference(found(), (product + bias).clamp(-1, 2)), 1e-4);
    rows.bias = nullptr;
    rows.lowest = -std::numeric_limits<float>::infinity();
    rows.highest = std::numeric_limits<float>::infinity();
    kernel.multiply(rows);
    EXPECT_LT(largest_difference(found(), product), 1e-4);
    EXPECT_TRUE(out.narrow(1, s.width, 3).isnan().all().item<bool>()) << "written behind a row";
  }
}

// Every kernel this machine can run, not only the one it would choose.
TEST(MatrixKernel, EqualsTheProductOverOddSizes) {
  for (const CpuKernels* kernels : cpu_kernels()) expect_products(kernels->matrix, Precision::kFloat32);
}

TEST(MatrixKernel, EqualsTheProductInBFloat16) {
  if (!bf16_cpu_kernels()) GTEST_SKIP() << "skipped: this CPU has no bfloat16 dot products";
  expect_products(bf16_cpu_kernels()->matrix, Precision::kBFloat16);
}

TEST(MatrixKernel, EqualsTheProductInInt8) {
  if (int8_kernels().empty()) GTEST_SKIP() << "skipped: this CPU has no dot products of int8";
  for (const MatrixKernel* kernel : int8_kernels()) expect_products(*kernel, Precision::kInt8);
}

// Each input is off by half a 255th of its row's range at most, each weight by half a 127th of its row's
// largest.
TEST(MatrixKernel, InInt8DiffersByTheRoundingOfItsFactors) {
  if (int8_kernels().empty()) GTEST_SKIP() << "skipped: this CPU has no dot products of int8";
  at::manual_seed(5);
  constexpr int64_t kRows = 50, kDepth = 333, kWidth = 70;
  at::Tensor in = at::randn({kRows, kDepth}) * at::rand({kRows, 1}) + at::randn({kRows, 1}) * 10,
             weight = at::randn({kWidth, kDepth}) * at::rand({kWidth, 1});
  in[3].fill_(2.5);  // without a range
  weight[4].fill_(0);
  Linear layer(torch::nn::LinearOptions(kDepth, kWidth).bias(false));
  const at::NoGradGuard guard;
  layer->weight.copy_(weight);
  layer->precision = Precision::kInt8;
  const auto [lowest, highest] = std::tuple(std::get<0>(in.min(1)), std::get<0>(in.max(1)));
  const at::Tensor in_step = (highest - lowest) / 255, weight_step = std::get<0>(weight.abs().max(1)) / 127;
  const at::Tensor bound = 0.51 * (in_step.unsqueeze(1) * (weight.abs() + weight_step.unsqueeze(1)).sum(1) +
                                   in.abs().sum(1, true) * weight_step) +
                           1e-3;
  const at::Tensor difference = (layer(in) - at::linear(in, weight)).abs();
  EXPECT_TRUE((difference <= bound).all().item<bool>());
  EXPECT_LT(difference.mean().item<double>(), bound.mean().item<double>() / 5);  // roundings cancel out
  EXPECT_GT(difference.mean().item<double>(), 0);
}

// --- layers, against those of LibTorch in double

at::Tensor plain(const Linear& layer, const at::Tensor& x) {
  return at::linear(x.to(at::kDouble), layer->weight.to(at::kDouble),
                    layer->bias.defined() ? layer->bias.to(at::kDouble) : layer->bias);
}

at::Tensor plain(const Conv2d& layer, const at::Tensor& map) {
  const auto& o = layer->options;
  const auto& padding = std::get<torch::ExpandingArray<2>>(o.padding());
  return at::conv2d(map.to(at::kDouble), layer->weight.to(at::kDouble),
                    layer->bias.defined() ? layer->bias.to(at::kDouble) : layer->bias, *o.stride(), *padding,
                    *o.dilation(), o.groups());
}

TEST(Dense, LinearEqualsLibTorchs) {
  at::manual_seed(4);
  const at::NoGradGuard guard;
  Linear layer(40, 75), bare(torch::nn::LinearOptions(40, 7).bias(false)), large(1100, 1000);
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{40}, {1, 40}, {2, 101, 40}, {3, 5, 7, 40}}) {
    const at::Tensor x = at::randn(shape);
    EXPECT_LT(largest_difference(layer(x), plain(layer, x)), 1e-5);
    EXPECT_LT(largest_difference(bare(x), plain(bare, x)), 1e-5);
  }
  const at::Tensor strided = at::randn({2, 40, 9}).transpose(1, 2);
  EXPECT_LT(largest_difference(layer(strided), plain(layer, strided)), 1e-5);
  Linear large_bare(torch::nn::LinearOptions(1100, 1000).bias(false));
  for (const int64_t rows : {5, 131}) {
    const at::Tensor x = at::randn({rows, 1100});
    EXPECT_LT(largest_difference(large(x), plain(large, x)), 1e-4);
    EXPECT_LT(largest_difference(large_bare(x), plain(large_bare, x)), 1e-4);
  }
  EXPECT_EQ(layer(at::zeros({0, 40})).sizes(), (std::vector<int64_t>{0, 75}));
  EXPECT_THROW(layer(at::zeros({3, 41})), c10::Error);
}

TEST(Dense, ConvolutionsEqualLibTorchs) {
  at::manual_seed(5);
  const at::NoGradGuard guard;
  using Options = torch::nn::Conv2dOptions;
  const std::vector<Options> kinds = {Options(12, 20, 1),
                                      Options(12, 20, 1).bias(false),
                                      Options(12, 20, 1).stride(2),
                                      Options(12, 20, 1).padding(1),
                                      Options(12, 24, 1).groups(3),
                                      Options(12, 20, 3).padding(1),
                                      Options(12, 12, 5).padding(2).groups(12),
                                      Options(12, 12, 3).stride(2).padding(1).groups(12).bias(false),
                                      Options(12, 12, 3).padding(2).dilation(2).groups(12),
                                      Options(12, 24, 3).padding(1).groups(12),
                                      Options(12, 12, {3, 5}).padding({1, 2}).groups(12),
                                      Options(12, 12, 3).stride({1, 2}).groups(12)};
  for (size_t i = 0; i < kinds.size(); ++i) {
    SCOPED_TRACE(i);
    Conv2d layer(kinds[i]);
    for (const at::Tensor& map :
         {at::randn({2, 12, 9, 11}), at::randn({1, 12, 7, 6}).contiguous(at::MemoryFormat::ChannelsLast)}) {
      EXPECT_LT(largest_difference(layer(map), plain(layer, map)), 1e-5);
      EXPECT_LT(largest_difference(layer(map, 0, 0.25), plain(layer, map).clamp(0, 0.25)), 1e-5);
    }
  }
}

// Each factor is rounded by 1 +- 2^-9 at most.
TEST(Dense, InBFloat16DiffersByTheRoundingOfItsFactors) {
  at::manual_seed(9);
  const c10::InferenceMode guard;
  Linear linear(41, 75);
  Conv2d pixel(torch::nn::Conv2dOptions(41, 20, 1));
  const at::Tensor x = at::randn({2, 101, 41}), map = at::randn({2, 41, 9, 11});
  const at::Tensor exact = linear(x).clone();
  linear->precision = pixel->precision = Precision::kBFloat16;
  const auto expect_near = [](const at::Tensor& found, const at::Tensor& expected, const at::Tensor& bound) {
    EXPECT_TRUE(((found.to(at::kDouble) - expected).abs() <= bound / 255 + 1e-5).all().item<bool>());
  };
  expect_near(linear(x), plain(linear, x),
              at::linear(x.to(at::kDouble).abs(), linear->weight.to(at::kDouble).abs()));
  expect_near(pixel(map), plain(pixel, map),
              at::conv2d(map.to(at::kDouble).abs(), pixel->weight.to(at::kDouble).abs()));
  EXPECT_EQ(at::equal(linear(x), exact), bf16_cpu_kernels() == nullptr)
      << "packed for the precision asked for";
}

// Of numbers that bfloat16 can hold: windows at edges, strides, maps wider than what goes through at once.
TEST(Dense, FiltersInBFloat16EqualLibTorchs) {
  at::manual_seed(10);
  const c10::InferenceMode guard;
  const auto round = [](const at::Tensor& values) { return values.to(at::kBFloat16).to(at::kFloat); };
  using Options = torch::nn::Conv2dOptions;
  for (const Options& options :
       {Options(9, 20, 3).padding(1), Options(9, 33, 3).stride(2).padding(1), Options(16, 5, 2).stride(2),
        Options(8, 12, 5).padding(2).bias(false), Options(3, 8, 3).padding(1)}) {
    Conv2d layer(options);
    layer->weight.copy_(round(layer->weight));
    layer->precision = Precision::kBFloat16;
    for (const GridSize size : {GridSize{9, 110}, {2, 2}, {30, 47}}) {
      const at::Tensor map = round(at::randn({2, options.in_channels(), size.height, size.width}));
      EXPECT_LT(largest_difference(layer(map), plain(layer, map)), 1e-4);
      EXPECT_LT(largest_difference(layer(map, 0, 0.5), plain(layer, map).clamp(0, 0.5)), 1e-4);
    }
  }
  for (const int64_t size : {2, 3}) {
    for (const bool has_bias : {true, false}) {
      ConvTranspose2d layer(torch::nn::ConvTranspose2dOptions(20, 12, size).stride(size).bias(has_bias));
      layer->weight.copy_(round(layer->weight));
      const at::Tensor map = round(at::randn({2, 20, 7, 53}));
      const at::Tensor expected = layer(map).clone();
      layer->precision = Precision::kBFloat16;
      EXPECT_LT(largest_difference(layer(map), expected.to(at::kDouble)), 1e-4);
    }
  }
}

// What a GPU does, where weights are held in fewer bits: the input is rounded to them, the result as well.
TEST(Dense, ComputesInTheTypeOfItsWeight) {
  at::manual_seed(11);
  const c10::InferenceMode guard;
  Linear linear(41, 75);
  Conv2d conv(torch::nn::Conv2dOptions(9, 20, 3).stride(2).padding(1));
  ConvTranspose2d transposed(torch::nn::ConvTranspose2dOptions(9, 12, 2).stride(2));
  const at::Tensor x = at::randn({2, 101, 41}), map = at::randn({2, 9, 9, 11});
  const at::Tensor of_linear = linear(x), of_conv = conv(map, 0, 1), of_transposed = transposed(map);
  for (at::Tensor* weight : {&linear->weight, &conv->weight, &transposed->weight}) {
    weight->set_data(weight->to(at::kBFloat16));
  }
  EXPECT_EQ(linear(x).scalar_type(), at::kFloat);
  EXPECT_TENSORS_CLOSE(linear(x), of_linear, 0, 0.05);
  EXPECT_TENSORS_CLOSE(conv(map, 0, 1), of_conv, 0, 0.05);
  EXPECT_TENSORS_CLOSE(transposed(map), of_transposed, 0, 0.05);
  EXPECT_FALSE(at::equal(linear(x), of_linear));
}

TEST(Dense, SeesThatWeightsHaveChanged) {
  at::manual_seed(6);
  Linear layer(8, 5);
  const at::Tensor x = at::randn({3, 8});
  const auto difference = [&] {
    const c10::InferenceMode guard;
    return largest_difference(layer(x), plain(layer, x));
  };
  EXPECT_LT(difference(), 1e-5);
  {
    const at::NoGradGuard guard;
    layer->weight.add_(1);
  }
  EXPECT_LT(difference(), 1e-5);
  layer->weight.set_data(at::randn({5, 8}));
  EXPECT_LT(difference(), 1e-5);
  layer->to(at::kDouble);
  layer->to(at::kFloat);
  EXPECT_LT(difference(), 1e-5);
}

TEST(Dense, HasGradientsThatLearn) {
  at::manual_seed(7);
  Linear layer(8, 5);
  Conv2d pixel(torch::nn::Conv2dOptions(5, 3, 1));
  const at::Tensor x = at::randn({2, 6, 8});
  const auto loss = [&] { return pixel(layer(x).permute({0, 2, 1}).unsqueeze(-1), -1, 1).square().sum(); };
  const at::Tensor before = loss();
  before.backward();
  {
    const at::NoGradGuard guard;
    EXPECT_NEAR(loss().item<double>(), before.item<double>(), 1e-3) << "with and without gradients";
    for (at::Tensor& parameter : layer->parameters()) parameter -= 1e-3 * parameter.grad();
    for (at::Tensor& parameter : pixel->parameters()) parameter -= 1e-3 * parameter.grad();
    EXPECT_LT(loss().item<double>(), before.item<double>());
  }
}

TEST(Dense, ManyThreadsMayUseALayer) {
  at::manual_seed(8);
  Linear layer(64, 64);
  const at::Tensor x = at::randn({100, 64}), expected = plain(layer, x).detach();
  std::vector<double> differences(4);
  {
    std::vector<std::jthread> threads;
    for (double& difference : differences) {
      threads.emplace_back([&] {
        const c10::InferenceMode guard;
        difference = largest_difference(layer(x), expected);
      });
    }
  }
  for (const double difference : differences) EXPECT_LT(difference, 1e-5);
}

TEST(Dense, ACopyHasItsOwnWeights) {
  Linear layer(8, 5);
  const c10::InferenceMode guard;
  const at::Tensor x = at::ones({1, 8}), before = layer(x).clone();
  const auto copy = std::make_shared<LinearImpl>(*layer);
  EXPECT_LT(largest_difference(copy->forward(x), before.to(at::kDouble)), 1e-6);
}

}  // namespace
}  // namespace hqtrack
