#include "core/inverted_bottleneck.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/threads.h"

namespace hqtrack {
namespace {

struct Case {
  int64_t batch, in, expansion, out, kernel, stride, height, width;
};

// Odd maps, maps smaller than the filter, rows of more and of fewer pixels than go through a layer together.
constexpr Case kCases[] = {{1, 32, 1, 16, 3, 1, 41, 37}, {1, 16, 6, 24, 3, 2, 33, 130},
                           {2, 24, 6, 24, 3, 1, 19, 21}, {1, 20, 6, 40, 5, 2, 50, 9},
                           {1, 40, 3, 40, 5, 1, 31, 33}, {1, 8, 2, 8, 5, 1, 2, 1}};

InvertedBottleneck make(const Case& c) {
  using Options = torch::nn::Conv2dOptions;
  const int64_t wide = c.in * c.expansion;
  InvertedBottleneck layers;
  if (c.expansion > 1) layers.expand = Conv2d(Options(c.in, wide, 1));
  layers.depthwise =
      Conv2d(Options(wide, wide, c.kernel).stride(c.stride).padding(c.kernel / 2).groups(wide));
  layers.project = Conv2d(Options(wide, c.out, 1));
  layers.has_skip = c.stride == 1 && c.in == c.out;
  return layers;
}

at::Tensor random_map(const Case& c) { return 4 * at::randn({c.batch, c.in, c.height, c.width}); }

TEST(InvertedBottleneck, EqualsOneLayerAfterTheOther) {
  at::manual_seed(1);
  const at::NoGradGuard guard;
  for (const Case& c : kCases) {
    for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
      InvertedBottleneck layers = make(c);
      if (!layers.expand.is_empty()) layers.expand->precision = precision;
      layers.project->precision = precision;
      const at::Tensor x = random_map(c), expected = layers.forward_by_layers(x);
      for (const int threads : {1, 2, 5}) {
        SCOPED_TRACE(testing::Message() << c.height << "x" << c.width << " k" << c.kernel << ", " << threads);
        set_threads(1, threads);
        EXPECT_TRUE(layers.forward(x).equal(expected));
      }
      set_threads(at::get_num_threads(), 0);
    }
  }
}

TEST(InvertedBottleneck, HasGradients) {
  at::manual_seed(2);
  InvertedBottleneck layers = make(kCases[2]);
  const at::Tensor x = random_map(kCases[2]).requires_grad_();
  layers.forward(x).sum().backward();
  EXPECT_GT(x.grad().abs().sum().item<double>(), 0);
  EXPECT_GT(layers.project->weight.grad().abs().sum().item<double>(), 0);
}

TEST(InvertedBottleneck, RefusesOtherChannels) {
  const at::NoGradGuard guard;
  EXPECT_THROW(make(kCases[0]).forward(at::zeros({1, 31, 8, 8})), c10::Error);
  EXPECT_THROW(make(kCases[1]).forward(at::zeros({1, 17, 8, 8})), c10::Error);
}

}  // namespace
}  // namespace hqtrack
