#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/softmax.h>

#include <ostream>
#include <string>
#include <vector>

#include "tracker/encoders/dcnv3.h"

namespace hqtrack::testing {

/// Sizes of one call of dcnv3.
struct Dcnv3Case {
  std::string name;
  int64_t batch, height, width, group_channels;
  double offset_px;  // offsets lie in -offset_px .. offset_px
  Dcnv3Options options;

  int64_t height_out() const {
    const auto& o = options;
    return (height + 2 * o.pad_h - o.dilation_h * (o.kernel_h - 1) - 1) / o.stride_h + 1;
  }
  int64_t width_out() const {
    const auto& o = options;
    return (width + 2 * o.pad_w - o.dilation_w * (o.kernel_w - 1) - 1) / o.stride_w + 1;
  }
  int64_t weights() const { return options.groups * options.kernel_h * options.kernel_w; }
};
inline std::ostream& operator<<(std::ostream& out, const Dcnv3Case& c) { return out << c.name; }

inline std::vector<Dcnv3Case> dcnv3_cases() {
  return {
      {"one_pixel", 1, 1, 1, 1, 1.0, {}},
      {"one_row", 1, 1, 13, 3, 2.0, {.groups = 2}},
      {"three_channels", 2, 7, 9, 3, 1.5, {.groups = 4}},
      {"five_channels", 2, 9, 7, 5, 1.5, {.groups = 3}},
      {"sixteen_channels", 2, 11, 13, 16, 1.5, {.groups = 4}},
      {"sixteen_channels_far", 1, 9, 11, 16, 30.0, {.groups = 2}},
      {"eight_channels", 1, 6, 5, 8, 1.0, {.groups = 2}},
      {"twenty_channels", 1, 6, 5, 20, 1.0, {.groups = 2}},
      {"still", 1, 8, 6, 16, 0.0, {.groups = 2}},
      {"stride_2", 1, 11, 8, 6, 1.0, {.stride_h = 2, .stride_w = 2, .groups = 2, .offset_scale = 2.0}},
      {"dilation_2",
       2,
       9,
       10,
       16,
       2.0,
       {.pad_h = 2, .pad_w = 2, .dilation_h = 2, .dilation_w = 2, .offset_scale = 0.5}},
      {"kernel_5_far", 1, 8, 12, 5, 9.0, {.kernel_h = 5, .kernel_w = 5, .pad_h = 2, .pad_w = 2, .groups = 3}},
      {"even_kernel", 1, 8, 7, 4, 1.0, {.kernel_h = 2, .kernel_w = 4, .pad_h = 0, .pad_w = 1, .groups = 2}},
      {"every_axis_different",
       2,
       13,
       17,
       3,
       2.5,
       {.kernel_h = 3,
        .kernel_w = 5,
        .stride_h = 2,
        .stride_w = 3,
        .pad_h = 3,
        .pad_w = 1,
        .dilation_h = 2,
        .dilation_w = 1,
        .groups = 3,
        .offset_scale = 1.5}},
      {"large_enough_for_threads", 2, 40, 37, 16, 2.0, {.groups = 4}},
  };
}

/// Random tensors of a case, the same for the same seed. mask is a softmax over the points, as in the
/// network.
struct Dcnv3Inputs {
  Dcnv3Inputs(const Dcnv3Case& c, at::ScalarType type, uint64_t seed = 7) {
    const auto generator = at::detail::createCPUGenerator(seed);
    const auto uniform = [&](at::IntArrayRef sizes) {
      return at::rand(sizes, generator, at::kDouble) * 2 - 1;
    };
    const int64_t h = c.height_out(), w = c.width_out(), channels = c.options.groups * c.group_channels;
    value = uniform({c.batch, c.height, c.width, channels}).to(type);
    offset = (uniform({c.batch, h, w, c.weights() * 2}) * c.offset_px).to(type);
    mask = at::softmax(uniform({c.batch, h, w, c.options.groups, c.weights() / c.options.groups}), -1)
               .reshape({c.batch, h, w, c.weights()})
               .to(type);
    grad_output = uniform({c.batch, h, w, channels}).to(type);
  }

  at::Tensor value, offset, mask, grad_output;
};

/// What a call gives: the output, and the gradients of sum(output * grad_output).
struct Dcnv3Outcome {
  at::Tensor output, grad_value, grad_offset, grad_mask;
};

/// Runs `function` (dcnv3 or dcnv3_reference) forward and backward.
template <class Function>
Dcnv3Outcome run_dcnv3(Function function, const Dcnv3Inputs& inputs, const Dcnv3Options& options) {
  const auto value = inputs.value.detach().clone().requires_grad_();
  const auto offset = inputs.offset.detach().clone().requires_grad_();
  const auto mask = inputs.mask.detach().clone().requires_grad_();
  const auto output = function(value, offset, mask, options);
  output.backward(inputs.grad_output);
  return {output.detach(), value.grad(), offset.grad(), mask.grad()};
}

}  // namespace hqtrack::testing
