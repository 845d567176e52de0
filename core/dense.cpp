#include "core/dense.h"

#include <ATen/ops/clamp.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <c10/core/InferenceMode.h>

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

// Larger ones are memory that need not be held twice.
constexpr int64_t kMaxHeldTwice = 1 << 20;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool may_be_held_twice(const at::Tensor& weight) { return weight.numel() <= kMaxHeldTwice; }

bool goes_by_kernel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return fits_cpu_kernels(x) && fits_cpu_kernels(weight) && x.numel() > 0 && !needs_grad({x, weight, bias});
}

at::Tensor as_it_is(const at::Tensor& weight) { return weight; }
// A convolution's [out, in, k, k] in the order of channels-last pixels, [out, k * k * in].
at::Tensor by_pixels(const at::Tensor& weight) { return weight.permute({0, 2, 3, 1}).flatten(1); }
// A transposed convolution's [in, out, k, k] -> [k * k * out, in].
at::Tensor by_target_pixels(const at::Tensor& weight) { return weight.permute({2, 3, 1, 0}).flatten(0, 2); }

const float* data_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

struct Product {
  at::Tensor x, out;  // [..., in], contiguous, and [..., out]
  at::Tensor bias;
  double lowest, highest;
  Precision precision;

  Product(const at::Tensor& from, int64_t width, const at::Tensor& offset, double least, double largest,
          Precision factors)
      : x(from), bias(offset), lowest(least), highest(largest), precision(factors) {
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = width;
    out = at::empty(shape, x.options());
  }

  /// The channels [first, first + count) of the result; packed: of their part of the weight.
  void multiply(const float* packed, int64_t first, int64_t count) const {
    constexpr int64_t kRows = 48;  // of one piece of work
    const MatrixKernel& kernel = weight_kernel_of(precision, x.size(-1));
    const int64_t depth = x.size(-1), width = out.size(-1), rows = x.numel() / depth;
    const float* const in = x.const_data_ptr<float>();
    const float* const offset = bias.defined() ? data_of(bias) + first : nullptr;
    float* const target = out.mutable_data_ptr<float>() + first;
    share_out((rows + kRows - 1) / kRows, [&](int64_t index) {
      const int64_t row = index * kRows;
      kernel.multiply({.in = in + row * depth,
                       .weight = packed,
                       .bias = offset,
                       .num_rows = std::min(kRows, rows - row),
                       .depth = depth,
                       .width = count,
                       .lowest = static_cast<float>(lowest),
                       .highest = static_cast<float>(highest),
                       .out = target + row * width,
                       .out_stride = width});
    });
  }
};

/// x: [..., in], contiguous.
at::Tensor multiply(const at::Tensor& x, const at::Tensor& packed, int64_t width, const at::Tensor& bias,
                    double lowest, double highest, Precision precision) {
  const Product product(x, width, bias, lowest, highest, precision);
  product.multiply(packed.const_data_ptr<float>(), 0, width);
  return product.out;
}

/// By a large weight [out, in], of which some rows at a time are packed, at every call: what all rows of x
/// look at in turn should stay in a cache.
at::Tensor multiply_by_parts(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                             Precision precision) {
  constexpr int64_t kPacked = 1 << 20;  // words
  const MatrixKernel& kernel = weight_kernel_of(precision, weight.size(1));
  const int64_t width = weight.size(0), depth = weight.size(1);
  const int64_t step =
      std::max<int64_t>(1, kPacked * kernel.depth_per_word / depth / kernel.panel) * kernel.panel;
  const Product product(x, width, bias, -kInfinity, kInfinity, precision);
  const at::Tensor packed = at::empty({kernel.packed_size(step, depth)}, x.options());
  float* const part = packed.mutable_data_ptr<float>();
  for (int64_t first = 0; first < width; first += step) {
    const int64_t count = std::min(step, width - first);
    const float* const rows = weight.const_data_ptr<float>() + first * depth;
    share_out(kernel.panels_of(count),
              [&](int64_t index) { kernel.pack_rows(rows, depth, count, depth, index, part); });
    product.multiply(part, first, count);
  }
  return product.out;
}

enum class Kind { kPointwise, kDepthwise, kDense, kOther };

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
  if (options.groups() > 1) return Kind::kOther;
  if (is_pixel) return Kind::kPointwise;
  constexpr int64_t kFewChannels = 8;  // too few to be worth the copies of `Windows`
  return options.in_channels() < kFewChannels ? Kind::kOther : Kind::kDense;
}

/// Copies the pixels below the filter to `out`, [kernel, kernel, channels]; zeros outside the map.
struct Windows {
  const float* in;  // [height, width, channels]
  int64_t height, width, channels, kernel;

  void copy(int64_t y, int64_t x, float* out) const {  // of the first pixel; may lie outside
    const int64_t row_values = kernel * channels;
    const int64_t left = std::clamp<int64_t>(-x, 0, kernel),
                  right = std::clamp<int64_t>(width - x, left, kernel);
    for (int64_t ky = y; ky < y + kernel; ++ky, out += row_values) {
      if (ky < 0 || ky >= height) {
        std::fill_n(out, row_values, 0.0f);
        continue;
      }
      std::fill_n(out, left * channels, 0.0f);
      std::copy_n(in + (ky * width + x + left) * channels, (right - left) * channels, out + left * channels);
      std::fill_n(out + right * channels, (kernel - right) * channels, 0.0f);
    }
  }
};

/// A convolution as a product of the filters with the pixels below them. map: channels-last.
at::Tensor convolve(const at::Tensor& map, const Options& options, const at::Tensor& packed,
                    const at::Tensor& bias, double lowest, double highest, Precision precision) {
  constexpr int64_t kPixels = 48;  // whose windows lie in the cache together
  const int64_t size = options.kernel_size()->at(0), stride = options.stride()->at(0),
                padding = (*padding_of(options))->at(0);
  const int64_t channels = map.size(1), height = map.size(2), width = map.size(3),
                out_channels = options.out_channels(), depth = size * size * channels;
  const MatrixKernel& kernel = weight_kernel_of(precision, depth);
  const int64_t out_height = (height + 2 * padding - size) / stride + 1,
                out_width = (width + 2 * padding - size) / stride + 1;
  at::Tensor out = at::empty({map.size(0), out_channels, out_height, out_width}, map.options(),
                             at::MemoryFormat::ChannelsLast);
  const float* const source = map.const_data_ptr<float>();
  float* const target = out.mutable_data_ptr<float>();
  share_out(map.size(0) * out_height, [&](int64_t row) {
    const Windows windows{source + row / out_height * height * width * channels, height, width, channels,
                          size};
    const int64_t y = row % out_height * stride - padding;
    const at::Tensor below = at::empty({std::min(kPixels, out_width) * depth}, at::kFloat);
    float* const values = below.mutable_data_ptr<float>();
    for (int64_t x = 0; x < out_width; x += kPixels) {
      const int64_t count = std::min(kPixels, out_width - x);
      for (int64_t i = 0; i < count; ++i) windows.copy(y, (x + i) * stride - padding, values + i * depth);
      kernel.multiply({.in = values,
                       .weight = packed.const_data_ptr<float>(),
                       .bias = data_of(bias),
                       .num_rows = count,
                       .depth = depth,
                       .width = out_channels,
                       .lowest = static_cast<float>(lowest),
                       .highest = static_cast<float>(highest),
                       .out = target + (row * out_width + x) * out_channels,
                       .out_stride = out_channels});
    }
  });
  return out;
}

/// Each pixel becomes `size` x `size` pixels. map: channels-last; packed, bias: of size * size * out values.
at::Tensor enlarge(const at::Tensor& map, int64_t size, int64_t out_channels, const at::Tensor& packed,
                   const at::Tensor& bias, Precision precision) {
  const MatrixKernel& kernel = weight_kernel_of(precision, map.size(1));
  const int64_t channels = map.size(1), height = map.size(2), width = map.size(3);
  const int64_t line = size * out_channels, square = size * line;  // values made of a pixel
  at::Tensor out = at::empty({map.size(0), out_channels, size * height, size * width}, map.options(),
                             at::MemoryFormat::ChannelsLast);
  const float* const source = map.const_data_ptr<float>();
  float* const target = out.mutable_data_ptr<float>();
  share_out(map.size(0) * height, [&](int64_t row) {
    const at::Tensor squares = at::empty({width * square}, at::kFloat);
    kernel.multiply({.in = source + row * width * channels,
                     .weight = packed.const_data_ptr<float>(),
                     .bias = data_of(bias),
                     .num_rows = width,
                     .depth = channels,
                     .width = square,
                     .lowest = -std::numeric_limits<float>::infinity(),
                     .highest = std::numeric_limits<float>::infinity(),
                     .out = squares.mutable_data_ptr<float>(),
                     .out_stride = square});
    const float* from = squares.const_data_ptr<float>();
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t dy = 0; dy < size; ++dy, from += line) {
        std::copy_n(from, line, target + ((row * size + dy) * width + x) * line);
      }
    }
  });
  return out;
}

/// Products of fewer bits are worth the copies that they take.
bool has_fewer_bits(Precision precision, int64_t depth) {
  return weight_kernel_of(precision, depth).depth_per_word > 1;
}

/// On a GPU.
void hold_as(at::Tensor& weight, Precision precision) {
  if (!weight.is_cuda()) return;
  const c10::InferenceMode as_it_was_made(weight.is_inference());
  const at::Tensor held = weight.detach().to(type_of(precision));
  // What tensor cores take as it is.
  weight.set_data(held.dim() == 4 ? held.contiguous(at::MemoryFormat::ChannelsLast) : held);
}

at::Tensor of_type(const at::Tensor& bias, at::ScalarType type) {
  return bias.defined() ? bias.to(type) : bias;
}

uint32_t version_of(const at::Tensor& tensor) { return tensor.is_inference() ? 0 : tensor._version(); }

}  // namespace

at::Tensor PackedWeight::of(const at::Tensor& weight, Precision precision, Arrange arranged) {
  const std::lock_guard lock(mutex_);
  // source_ keeps the memory from being used again for other weights.
  if (source_.defined() && source_.const_data_ptr() == weight.const_data_ptr() &&
      version_ == version_of(weight) && precision_ == precision) {
    return packed_;
  }
  const at::Tensor rows = arranged(weight.detach()).contiguous();
  const MatrixKernel& kernel = weight_kernel_of(precision, rows.size(1));
  const int64_t panels = kernel.panels_of(rows.size(0));
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

void LinearImpl::use(Precision factors) {
  HasPrecision::use(factors);
  hold_as(weight, factors);
}

at::Tensor LinearImpl::by_operators(const at::Tensor& x) {
  const at::ScalarType type = weight.scalar_type();
  return at::linear(x.to(type), weight, of_type(bias, type)).to(x.scalar_type());
}

at::Tensor LinearImpl::forward(const at::Tensor& x) {
  count_flops(2 * x.numel() * weight.size(0));
  if (!goes_by_kernel(x, weight, bias)) return by_operators(x);
  TORCH_CHECK(x.size(-1) == weight.size(1), "linear: expected ", weight.size(1), " channels, found ",
              x.sizes());
  const at::Tensor rows = x.contiguous();
  if (!may_be_held_twice(weight)) return multiply_by_parts(rows, weight.contiguous(), bias, precision);
  return multiply(rows, packed_.of(weight, precision, as_it_is), weight.size(0), bias, -kInfinity, kInfinity,
                  precision);
}

void Conv2dImpl::use(Precision factors) {
  HasPrecision::use(factors);
  const bool is_dense = options.groups() == 1 && padding_of(options);
  if (is_dense && std::holds_alternative<torch::enumtype::kZeros>(options.padding_mode())) {
    hold_as(weight, factors);
  }
}

at::Tensor Conv2dImpl::by_operators(const at::Tensor& map) {
  const at::ScalarType type = weight.scalar_type();
  if (type == map.scalar_type()) return torch::nn::Conv2dImpl::forward(map);
  return at::conv2d(map.to(type), weight, of_type(bias, type), options.stride(), *padding_of(options),
                    options.dilation())
      .to(map.scalar_type());
}

at::Tensor Conv2dImpl::packed_weight() { return packed_.of(weight, precision, by_pixels); }

int64_t Conv2dImpl::padding() const {
  const Pair* const padding = padding_of(options);
  TORCH_CHECK(padding, "convolution: expected a padding in pixels");
  return (*padding)->at(0);
}

at::Tensor Conv2dImpl::forward(const at::Tensor& map, double lowest, double highest) {
  const Kind kind = kind_of(options);
  if (kind == Kind::kDepthwise && map.dim() == 4) {
    return depthwise_conv(map, weight, bias, options.stride()->at(0), padding(), lowest, highest);
  }
  const bool goes_by_product =
      kind == Kind::kPointwise || (kind == Kind::kDense && has_fewer_bits(precision, weight[0].numel()));
  if (!goes_by_product || map.dim() != 4 || !may_be_held_twice(weight) ||
      !goes_by_kernel(map, weight, bias)) {
    at::Tensor out = by_operators(map);
    count_flops(2 * out.numel() * weight[0].numel());
    return std::isinf(lowest) && std::isinf(highest) ? out : at::clamp_(out, lowest, highest);
  }
  TORCH_CHECK(map.size(1) == weight.size(1), "convolution: expected ", weight.size(1), " channels, found ",
              map.sizes());
  const at::Tensor pixels = map.contiguous(at::MemoryFormat::ChannelsLast);
  if (kind == Kind::kDense) {
    const at::Tensor out = convolve(pixels, options, packed_weight(), bias, lowest, highest, precision);
    count_flops(2 * out.numel() * weight[0].numel());
    return out;
  }
  count_flops(2 * map.numel() * weight.size(0));
  const at::Tensor tokens = to_tokens(pixels);
  return to_map(multiply(tokens, packed_weight(), weight.size(0), bias, lowest, highest, precision),
                grid_of(map));
}

void ConvTranspose2dImpl::use(Precision factors) {
  HasPrecision::use(factors);
  hold_as(weight, factors);
}

at::Tensor ConvTranspose2dImpl::by_operators(const at::Tensor& map) {
  const at::ScalarType type = weight.scalar_type();
  if (type == map.scalar_type()) return torch::nn::ConvTranspose2dImpl::forward(map);
  return at::conv_transpose2d(map.to(type), weight, of_type(bias, type), options.stride(),
                              *padding_of(options), options.output_padding(), options.groups(),
                              options.dilation())
      .to(map.scalar_type());
}

at::Tensor ConvTranspose2dImpl::forward(const at::Tensor& map) {
  const Pair &kernel = options.kernel_size(), &stride = options.stride();
  const auto is_zero = [](const Pair& pair) { return pair->at(0) == 0 && pair->at(1) == 0; };
  const int64_t size = kernel->at(0);
  const bool makes_squares = kernel->at(1) == size && stride->at(0) == size && stride->at(1) == size &&
                             is_zero(*padding_of(options)) && is_zero(options.output_padding()) &&
                             options.dilation()->at(0) == 1 && options.dilation()->at(1) == 1 &&
                             options.groups() == 1;
  if (!makes_squares || !has_fewer_bits(precision, map.size(1)) || map.dim() != 4 ||
      !may_be_held_twice(weight) || !goes_by_kernel(map, weight, bias)) {
    return by_operators(map);
  }
  TORCH_CHECK(map.size(1) == weight.size(0), "convolution: expected ", weight.size(0), " channels, found ",
              map.sizes());
  return enlarge(map.contiguous(at::MemoryFormat::ChannelsLast), size, weight.size(1),
                 packed_.of(weight, precision, by_target_pixels),
                 bias.defined() ? bias.repeat({size * size}) : bias, precision);
}

}  // namespace hqtrack
