#include "tracker/encoders/dcnv3.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "tests/support/golden.h"
#include "tests/support/npy.h"
#include "tests/tracker/dcnv3_cases.h"

namespace hqtrack::testing {
namespace {

// Files of tests/data/dcnv3: inputs and outputs of the published operator's formula, computed in double.
struct GoldenCase {
  std::string name;
  bool has_gradients;
  Dcnv3Options options;
};
std::ostream& operator<<(std::ostream& out, const GoldenCase& c) { return out << c.name; }

class Dcnv3Golden : public ::testing::TestWithParam<GoldenCase> {
 protected:
  at::Tensor load(const std::string& part) const {
    return load_npy(repository_root() / "tests/data/dcnv3" / (GetParam().name + "." + part + ".npy"));
  }
};

TEST_P(Dcnv3Golden, OutputAndGradientsMatch) {
  const auto value = load("input").requires_grad_(), offset = load("offset").requires_grad_();
  const auto mask = load("mask").requires_grad_();
  const auto output = dcnv3(value, offset, mask, GetParam().options);
  EXPECT_TENSORS_CLOSE(output, load("output"), 0.0, 3e-6);
  EXPECT_TENSORS_CLOSE(dcnv3_reference(value, offset, mask, GetParam().options), load("output"), 0.0, 3e-6);
  if (!GetParam().has_gradients) return;
  output.backward(load("grad_output"));
  EXPECT_TENSORS_CLOSE(value.grad(), load("grad_input"), 0.0, 2e-5);
  EXPECT_TENSORS_CLOSE(offset.grad(), load("grad_offset"), 0.0, 2e-5);
  EXPECT_TENSORS_CLOSE(mask.grad(), load("grad_mask"), 0.0, 2e-5);
}

INSTANTIATE_TEST_SUITE_P(
    , Dcnv3Golden,
    ::testing::Values(
        GoldenCase{"dcn_a", true, {.groups = 4}},
        GoldenCase{"dcn_b_stride2", false, {.stride_h = 2, .stride_w = 2, .groups = 2, .offset_scale = 2.0}},
        GoldenCase{
            "dcn_c_dil2",
            false,
            {.pad_h = 2, .pad_w = 2, .dilation_h = 2, .dilation_w = 2, .groups = 1, .offset_scale = 0.5}},
        GoldenCase{"dcn_d_k5_far", true, {.kernel_h = 5, .kernel_w = 5, .pad_h = 2, .pad_w = 2, .groups = 3}},
        GoldenCase{"dcn_e_internT", false, {.groups = 16}}),
    [](const auto& info) { return info.param.name; });

class Dcnv3Kernel : public ::testing::TestWithParam<Dcnv3Case> {};
INSTANTIATE_TEST_SUITE_P(, Dcnv3Kernel, ::testing::ValuesIn(dcnv3_cases()),
                         [](const auto& info) { return info.param.name; });

void expect_close(const Dcnv3Outcome& actual, const Dcnv3Outcome& expected, double tolerance) {
  EXPECT_TENSORS_CLOSE(actual.output, expected.output, tolerance, tolerance);
  EXPECT_TENSORS_CLOSE(actual.grad_value, expected.grad_value, tolerance, tolerance);
  EXPECT_TENSORS_CLOSE(actual.grad_offset, expected.grad_offset, tolerance, tolerance);
  EXPECT_TENSORS_CLOSE(actual.grad_mask, expected.grad_mask, tolerance, tolerance);
}

TEST_P(Dcnv3Kernel, MatchesThePlainFormulaInDouble) {
  const Dcnv3Inputs inputs(GetParam(), at::kDouble);
  expect_close(run_dcnv3(dcnv3, inputs, GetParam().options),
               run_dcnv3(dcnv3_reference, inputs, GetParam().options), 1e-12);
}

TEST_P(Dcnv3Kernel, MatchesThePlainFormulaInFloat) {
  const Dcnv3Inputs inputs(GetParam(), at::kFloat);
  expect_close(run_dcnv3(dcnv3, inputs, GetParam().options),
               run_dcnv3(dcnv3_reference, inputs, GetParam().options), 1e-4);
}

TEST_P(Dcnv3Kernel, GivesTheSameBytesForAnyNumberOfThreads) {
  const Dcnv3Inputs inputs(GetParam(), at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = run_dcnv3(dcnv3, inputs, GetParam().options);
  at::set_num_threads(3);
  const auto together = run_dcnv3(dcnv3, inputs, GetParam().options);
  at::set_num_threads(threads);
  EXPECT_TRUE(alone.output.equal(together.output));
  EXPECT_TRUE(alone.grad_value.equal(together.grad_value));
  EXPECT_TRUE(alone.grad_offset.equal(together.grad_offset));
  EXPECT_TRUE(alone.grad_mask.equal(together.grad_mask));
}

// Backward against the slope of forward; nothing of the plain formula is needed here. Sampling is not
// differentiable on pixel centres, so every coordinate is kept a tenth of a pixel away from them.
void check_gradients(const Dcnv3Case& c) {
  Dcnv3Inputs inputs(c, at::kDouble);
  const double scale = c.options.offset_scale;
  const auto steps = (inputs.offset * scale).floor();
  // 0.1 .. 0.4: off the centres also where everything is shifted by half a pixel.
  const auto fraction = 0.1 + 0.3 * (inputs.offset * scale - steps);
  inputs.offset = (steps + fraction) / scale;
  const auto outcome = run_dcnv3(dcnv3, inputs, c.options);
  const auto loss = [&] {
    return (dcnv3(inputs.value, inputs.offset, inputs.mask, c.options) * inputs.grad_output)
        .sum()
        .item<double>();
  };
  const auto check = [&](const char* name, const at::Tensor& input, const at::Tensor& gradient) {
    ASSERT_TRUE(input.is_contiguous());
    const auto numeric = at::zeros_like(input);
    constexpr double kStep = 1e-5;
    for (int64_t i = 0; i < input.numel(); ++i) {
      double& element = input.mutable_data_ptr<double>()[i];
      const double kept = element;
      element = kept + kStep;
      const double above = loss();
      element = kept - kStep;
      const double below = loss();
      element = kept;
      numeric.mutable_data_ptr<double>()[i] = (above - below) / (2 * kStep);
    }
    EXPECT_GT(numeric.abs().max().item<double>(), 1e-3) << name;
    EXPECT_TENSORS_CLOSE(gradient, numeric, 1e-7, 1e-8) << name;
  };
  check("value", inputs.value, outcome.grad_value);
  check("offset", inputs.offset, outcome.grad_offset);
  check("mask", inputs.mask, outcome.grad_mask);
}

TEST(Dcnv3Gradient, MatchesFiniteDifferences) { check_gradients({"small", 2, 4, 5, 3, 2.0, {.groups = 2}}); }
TEST(Dcnv3Gradient, MatchesFiniteDifferencesWithSixteenChannels) {
  check_gradients({"sixteen", 1, 3, 4, 16, 2.0, {.groups = 2}});
}
TEST(Dcnv3Gradient, MatchesFiniteDifferencesWithStrideDilationAndScale) {
  check_gradients({"window",
                   1,
                   7,
                   6,
                   2,
                   3.0,
                   {.kernel_h = 3,
                    .kernel_w = 5,
                    .stride_h = 2,
                    .stride_w = 1,
                    .pad_h = 2,
                    .pad_w = 2,
                    .dilation_h = 2,
                    .dilation_w = 1,
                    .groups = 2,
                    .offset_scale = 0.5}});
}

TEST(Dcnv3, RunsItsPointsWithXOutermost) {
  // One pixel in the middle of 3 x 3; only point n counts, so the output is the pixel that point n looks at.
  const auto value = at::arange(9, at::kFloat).view({1, 3, 3, 1});
  const Dcnv3Options options{.pad_h = 0, .pad_w = 0};
  for (int64_t n = 0; n < 9; ++n) {
    auto mask = at::zeros({1, 1, 1, 9});
    mask.select(3, n).fill_(1);
    const int64_t x = n / 3, y = n % 3;
    EXPECT_EQ(dcnv3(value, at::zeros({1, 1, 1, 18}), mask, options).item<float>(),
              static_cast<float>(y * 3 + x));
  }
}

TEST(Dcnv3, OffsetsAreXBeforeY) {
  const auto value = at::arange(12, at::kFloat).view({1, 3, 4, 1});
  const Dcnv3Options options{.kernel_h = 1, .kernel_w = 1, .pad_h = 0, .pad_w = 0};
  auto offset = at::zeros({1, 3, 4, 2});
  offset.select(3, 0).fill_(1);
  const auto moved = dcnv3(value, offset, at::ones({1, 3, 4, 1}), options).squeeze();
  EXPECT_EQ(moved[1][1].item<float>(), 6.0F);  // from (y 1, x 2)
  EXPECT_EQ(moved[1][3].item<float>(), 0.0F);  // x 4 lies outside
}

TEST(Dcnv3, PositionsThatAreHugeOrNoNumberLieOutside) {
  const Dcnv3Case c{"wild", 1, 5, 6, 16, 1.0, {.groups = 2}};
  Dcnv3Inputs inputs(c, at::kFloat);
  const float wild[] = {1e30F, -1e30F, std::numeric_limits<float>::infinity(), std::nanf("")};
  for (const float number : wild) {
    inputs.offset.fill_(number);
    const auto outcome = run_dcnv3(dcnv3, inputs, c.options);
    for (const auto& tensor : {outcome.output, outcome.grad_value, outcome.grad_offset, outcome.grad_mask}) {
      EXPECT_EQ(tensor.abs().max().item<float>(), 0.0F) << number;
    }
  }
}

TEST(Dcnv3, TakesAnyStrides) {
  const Dcnv3Case c{"strides", 2, 6, 7, 16, 1.5, {.groups = 2}};
  const Dcnv3Inputs inputs(c, at::kFloat);
  Dcnv3Inputs strided = inputs;
  strided.value = inputs.value.permute({0, 3, 1, 2}).contiguous().permute({0, 2, 3, 1});
  strided.offset = inputs.offset.transpose(1, 2).contiguous().transpose(1, 2);
  strided.mask = inputs.mask.unsqueeze(-1).expand({-1, -1, -1, -1, 2}).contiguous().select(-1, 0);
  strided.grad_output = inputs.grad_output.transpose(0, 3).contiguous().transpose(0, 3);
  ASSERT_FALSE(strided.value.is_contiguous() || strided.offset.is_contiguous() ||
               strided.mask.is_contiguous());
  const auto plain = run_dcnv3(dcnv3, inputs, c.options);
  const auto value = strided.value.detach().requires_grad_(),
             offset = strided.offset.detach().requires_grad_();
  const auto mask = strided.mask.detach().requires_grad_();
  const auto output = dcnv3(value, offset, mask, c.options);
  output.backward(strided.grad_output);
  EXPECT_TRUE(output.equal(plain.output));
  EXPECT_TRUE(value.grad().equal(plain.grad_value));
  EXPECT_TRUE(offset.grad().equal(plain.grad_offset));
  EXPECT_TRUE(mask.grad().equal(plain.grad_mask));
}

TEST(Dcnv3, EmptyBatchesAndChannelsGiveEmptyResults) {
  for (const auto& c : {Dcnv3Case{"no_pictures", 0, 5, 6, 16, 1.0, {.groups = 2}},
                        Dcnv3Case{"no_channels", 2, 5, 6, 0, 1.0, {.groups = 2}}}) {
    const Dcnv3Inputs inputs(c, at::kFloat);
    const auto outcome = run_dcnv3(dcnv3, inputs, c.options);
    EXPECT_EQ(outcome.output.sizes(), inputs.grad_output.sizes()) << c;
    EXPECT_EQ(outcome.grad_value.sizes(), inputs.value.sizes()) << c;
    EXPECT_EQ(outcome.grad_offset.sizes(), inputs.offset.sizes()) << c;
    EXPECT_EQ(outcome.grad_mask.sizes(), inputs.mask.sizes()) << c;
    EXPECT_EQ(outcome.grad_mask.abs().sum().item<float>(), 0.0F) << c;
  }
}

TEST(Dcnv3, APictureWithoutPixelsCountsAsZero) {
  const Dcnv3Case c{"no_pixels", 1, 0, 4, 2, 1.0, {.pad_h = 3}};
  const Dcnv3Inputs inputs(c, at::kFloat);
  const auto output = dcnv3(inputs.value, inputs.offset, inputs.mask, c.options);
  EXPECT_TENSORS_CLOSE(output, at::zeros({1, 4, 4, 2}), 0, 0);
  EXPECT_TENSORS_CLOSE(dcnv3_reference(inputs.value, inputs.offset, inputs.mask, c.options), output, 0, 0);
}

TEST(Dcnv3, RecordsOnlyWhereGradientsAreAsked) {
  const Dcnv3Case c{"modes", 1, 5, 6, 16, 1.0, {}};
  const Dcnv3Inputs inputs(c, at::kFloat);
  const auto value = inputs.value.clone().requires_grad_();
  const auto recorded = dcnv3(value, inputs.offset, inputs.mask, c.options);
  EXPECT_TRUE(recorded.requires_grad());
  EXPECT_FALSE(dcnv3(inputs.value, inputs.offset, inputs.mask, c.options).requires_grad());
  {
    const at::NoGradGuard no_grad;
    const auto output = dcnv3(value, inputs.offset, inputs.mask, c.options);
    EXPECT_FALSE(output.requires_grad());
    EXPECT_TRUE(output.equal(recorded));
  }
  const c10::InferenceMode inference;
  const auto output = dcnv3(inputs.value.clone(), inputs.offset, inputs.mask, c.options);
  EXPECT_TRUE(output.is_inference());
  EXPECT_TRUE(output.equal(recorded));
}

TEST(Dcnv3, LeavesOutGradientsNobodyAskedFor) {
  const Dcnv3Case c{"frozen", 1, 5, 6, 16, 1.0, {}};
  const Dcnv3Inputs inputs(c, at::kFloat);
  const auto offset = inputs.offset.clone().requires_grad_();
  dcnv3(inputs.value, offset, inputs.mask, c.options).backward(inputs.grad_output);
  EXPECT_TRUE(offset.grad().equal(run_dcnv3(dcnv3, inputs, c.options).grad_offset));
  EXPECT_FALSE(inputs.value.grad().defined());
}

TEST(Dcnv3, RefusesASecondDerivative) {
  const Dcnv3Case c{"twice", 1, 5, 6, 4, 1.0, {}};
  const Dcnv3Inputs inputs(c, at::kDouble);
  const auto value = inputs.value.clone().requires_grad_(), offset = inputs.offset.clone().requires_grad_();
  const auto output = dcnv3(value, offset, inputs.mask, c.options);
  const auto gradients = torch::autograd::grad({output}, {value, offset}, {inputs.grad_output},
                                               /*retain_graph=*/true, /*create_graph=*/true);
  ASSERT_TRUE(gradients[1].requires_grad());
  EXPECT_THROW(gradients[1].sum().backward(), c10::Error);
}

std::string message_of(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                       const Dcnv3Options& options) {
  try {
    dcnv3(value, offset, mask, options);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

TEST(Dcnv3, RejectsWhatDoesNotFitWithBothNumbers) {
  const Dcnv3Case c{"wrong", 1, 5, 6, 4, 1.0, {.groups = 2}};
  const Dcnv3Inputs in(c, at::kFloat);
  const auto& o = c.options;
  const auto expect_message = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect_message(message_of(in.value[0], in.offset, in.mask, o), "value: expected 4 dimensions, found 3");
  expect_message(message_of(in.value, in.offset, in.mask, {.groups = 3}), "multiple of 3 groups, found 8");
  expect_message(message_of(in.value, in.mask, in.mask, o),
                 "offset: expected shape [1, 5, 6, 36], found [1, 5, 6, 18]");
  expect_message(message_of(in.value, in.offset, in.offset, o),
                 "mask: expected shape [1, 5, 6, 18], found [1, 5, 6, 36]");
  expect_message(message_of(in.value, in.offset, in.mask.to(at::kDouble), o),
                 "mask: expected Float as value has, found Double");
  expect_message(message_of(in.value.to(at::kInt), in.offset, in.mask, o),
                 "expected a floating point type, found Int");
  expect_message(message_of(in.value.to(at::kHalf), in.offset.to(at::kHalf), in.mask.to(at::kHalf), o),
                 "Half");
  expect_message(
      message_of(in.value, in.offset, in.mask, {.stride_w = 0, .groups = 2}),
      "width: expected kernel, stride and dilation of at least 1 and pad of at least 0, found 3, 0, 1 and 1");
  expect_message(message_of(in.value, in.offset, in.mask, {.dilation_h = 4, .groups = 2}),
                 "height: expected at least 9 padded pixels, found 7");
}

}  // namespace
}  // namespace hqtrack::testing
