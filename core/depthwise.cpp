#include "core/depthwise.h"

#include <ATen/ops/clamp.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/cpu_kernels.h"
#include "core/device.h"
#include "core/profile.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

at::Tensor convolve(const at::Tensor& map, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                    int64_t padding, float lowest, float highest) {
  const at::Tensor in = map.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor filters = weight.flatten(1).t().contiguous();
  const int64_t kernel = weight.size(2);
  const int64_t batch = map.size(0), channels = map.size(1), height = map.size(2), width = map.size(3);
  const int64_t out_height = (height + 2 * padding - kernel) / stride + 1,
                out_width = (width + 2 * padding - kernel) / stride + 1;
  at::Tensor out =
      at::empty({batch, channels, out_height, out_width}, map.options(), at::MemoryFormat::ChannelsLast);
  const float* const source = in.const_data_ptr<float>();
  float* const target = out.mutable_data_ptr<float>();
  std::vector<const float*> rows(batch * height);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = source + static_cast<int64_t>(i) * width * channels;
  constexpr int64_t kRows = 4;  // of one piece of work
  const int64_t pieces = (out_height + kRows - 1) / kRows;
  share_out(batch * pieces, [&](int64_t index) {
    const int64_t b = index / pieces, row = index % pieces * kRows;
    cpu_kernels().front()->depthwise.convolve_rows(
        {.in = rows.data() + b * height,
         .weight = filters.const_data_ptr<float>(),
         .bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr,
         .height = height,
         .width = width,
         .channels = channels,
         .kernel = kernel,
         .stride = stride,
         .padding = padding,
         .lowest = lowest,
         .highest = highest,
         .out_width = out_width,
         .first_row = row,
         .last_row = std::min(row + kRows, out_height),
         .out = target + (b * out_height + row) * out_width * channels});
  });
  return out;
}

}  // namespace

at::Tensor depthwise_conv(const at::Tensor& map, const at::Tensor& weight, const at::Tensor& bias,
                          int64_t stride, int64_t padding, double lowest, double highest) {
  TORCH_CHECK(map.dim() == 4 && weight.dim() == 4 && weight.size(0) == map.size(1) && weight.size(1) == 1 &&
                  weight.size(2) == weight.size(3),
              "depthwise convolution: map ", map.sizes(), " and weight ", weight.sizes(), " do not fit");
  at::Tensor out;
  if (fits_cpu_kernels(map) && fits_cpu_kernels(weight) && !needs_grad({map, weight, bias})) {
    out =
        convolve(map, weight, bias, stride, padding, static_cast<float>(lowest), static_cast<float>(highest));
  } else {
    out = at::conv2d(map, weight, bias, stride, padding, 1, map.size(1));
    if (!std::isinf(lowest) || !std::isinf(highest)) at::clamp_(out, lowest, highest);
  }
  count_flops(2 * out.numel() * weight.size(2) * weight.size(3));
  return out;
}

}  // namespace hqtrack
