#include "core/dense.h"

#include <ATen/ops/clamp.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include "core/cpu_kernels.h"
#include "core/depthwise.h"
#include "core/device.h"
#include "core/layers.h"
#include "core/profile.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

// Larger ones are memory that need not be held twice, and LibTorch is good at them.
constexpr int64_t kMaxWeight = 1 << 20;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool goes_by_kernel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return fits_cpu_kernels(x) && fits_cpu_kernels(weight) && weight.numel() <= kMaxWeight && x.numel() > 0 &&
         !needs_grad({x, weight, bias});
}

/// x: [..., in], contiguous.
at::Tensor multiply(const at::Tensor& x, const at::Tensor& packed, int64_t width, const at::Tensor& bias,
                    double lowest, double highest, Precision precision) {
  constexpr int64_t kRows = 48;  // of one piece of work
  const MatrixKernel& kernel = cpu_kernels_of(precision).matrix;
  const int64_t depth = x.size(-1), rows = x.numel() / depth;
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = width;
  at::Tensor out = at::empty(shape, x.options());
  const float* const in = x.const_data_ptr<float>();
  const float* const weight = packed.const_data_ptr<float>();
  const float* const offset = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  float* const target = out.mutable_data_ptr<float>();
  share_out((rows + kRows - 1) / kRows, [&](int64_t index) {
    const int64_t first = index * kRows;
    kernel.multiply({.in = in + first * depth,
                     .weight = weight,
                     .bias = offset,
                     .num_rows = std::min(kRows, rows - first),
                     .depth = depth,
                     .width = width,
                     .lowest = static_cast<float>(lowest),
                     .highest = static_cast<float>(highest),
                     .out = target + first * width});
  });
  return out;
}

enum class Kind { kPointwise, kDepthwise, kOther };

using Options = torch::nn::detail::ConvNdOptions<2>;
using Pair = torch::ExpandingArray<2>;

const Pair* padding_of(const Options& options) { return std::get_if<Pair>(&options.padding()); }

Kind kind_of(const Options& options) {
  const Pair &kernel = options.kernel_size(), &stride = options.stride(), *padding = padding_of(options);
  const auto is_square = [](const Pair& pair) { return pair->at(0) == pair->at(1); };
  const bool is_plain = padding && is_square(kernel) && is_square(stride) && is_square(*padding) &&
                        options.dilation()->at(0) == 1 && options.dilation()->at(1) == 1 &&
                        std::holds_alternative<torch::enumtype::kZeros>(options.padding_mode());
  if (!is_plain) return Kind::kOther;
  if (options.groups() > 1 && options.groups() == options.in_channels() &&
      options.groups() == options.out_channels())
    return Kind::kDepthwise;
  const bool is_pixel = kernel->at(0) == 1 && stride->at(0) == 1 && (*padding)->at(0) == 0;
  return is_pixel && options.groups() == 1 ? Kind::kPointwise : Kind::kOther;
}

uint32_t version_of(const at::Tensor& tensor) { return tensor.is_inference() ? 0 : tensor._version(); }

}  // namespace

at::Tensor PackedWeight::of(const at::Tensor& weight, Precision precision) {
  const std::lock_guard lock(mutex_);
  // source_ keeps the memory from being used again for other weights.
  if (source_.defined() && source_.const_data_ptr() == weight.const_data_ptr() &&
      version_ == version_of(weight) && precision_ == precision) {
    return packed_;
  }
  const MatrixKernel& kernel = cpu_kernels_of(precision).matrix;
  const int64_t panels = kernel.panels_of(weight.size(0));
  const at::Tensor rows = weight.detach().contiguous();
  packed_ = at::empty({kernel.packed_size(rows.size(0), rows.size(1))}, rows.options());
  for (int64_t i = 0; i < panels; ++i) {
    kernel.pack_rows(rows.const_data_ptr<float>(), rows.size(1), rows.size(0), rows.size(1), i,
                     packed_.mutable_data_ptr<float>());
  }
  source_ = weight.detach();
  version_ = version_of(weight);
  precision_ = precision;
  return packed_;
}

at::Tensor LinearImpl::forward(const at::Tensor& x) {
  count_flops(2 * x.numel() * weight.size(0));
  if (!goes_by_kernel(x, weight, bias)) return torch::nn::LinearImpl::forward(x);
  TORCH_CHECK(x.size(-1) == weight.size(1), "linear: expected ", weight.size(1), " channels, found ",
              x.sizes());
  return multiply(x.contiguous(), packed_.of(weight, precision), weight.size(0), bias, -kInfinity, kInfinity,
                  precision);
}

at::Tensor Conv2dImpl::forward(const at::Tensor& map, double lowest, double highest) {
  const Kind kind = kind_of(options);
  if (kind == Kind::kDepthwise && map.dim() == 4) {
    return depthwise_conv(map, weight, bias, options.stride()->at(0), (*padding_of(options))->at(0), lowest,
                          highest);
  }
  if (kind != Kind::kPointwise || map.dim() != 4 || !goes_by_kernel(map, weight, bias)) {
    at::Tensor out = torch::nn::Conv2dImpl::forward(map);
    count_flops(2 * out.numel() * weight[0].numel());
    return std::isinf(lowest) && std::isinf(highest) ? out : at::clamp_(out, lowest, highest);
  }
  TORCH_CHECK(map.size(1) == weight.size(1), "convolution: expected ", weight.size(1), " channels, found ",
              map.sizes());
  count_flops(2 * map.numel() * weight.size(0));
  const at::Tensor tokens = to_tokens(map.contiguous(at::MemoryFormat::ChannelsLast));
  return to_map(multiply(tokens, packed_.of(weight.flatten(1), precision), weight.size(0), bias, lowest,
                         highest, precision),
                grid_of(map));
}

}  // namespace hqtrack
