#include "core/inverted_bottleneck.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/cpu_kernels.h"
#include "core/device.h"
#include "core/profile.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

constexpr double kHighest = 6;  // of relu6

const float* data_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

/// The three layers on rows of one picture.
class Bands {
 public:
  /// x: channels-last.
  Bands(InvertedBottleneck& layers, const at::Tensor& x)
      : layers_(layers),
        in_channels_(x.size(1)),
        height_(x.size(2)),
        width_(x.size(3)),
        channels_(layers.depthwise->weight.size(0)),
        out_channels_(layers.project->weight.size(0)),
        kernel_(layers.depthwise->weight.size(2)),
        stride_(layers.depthwise->options.stride()->at(0)),
        padding_(layers.depthwise->padding()),
        filters_(layers.depthwise->weight.flatten(1).t().contiguous()),
        project_(layers.project->packed_weight()) {
    if (!layers.expand.is_empty()) expand_ = layers.expand->packed_weight();
  }

  int64_t out_height() const { return (height_ + 2 * padding_ - kernel_) / stride_ + 1; }
  int64_t out_width() const { return (width_ + 2 * padding_ - kernel_) / stride_ + 1; }
  int64_t flops() const {
    const int64_t weights = kernel_ * kernel_ + out_channels_, expand = expand_.defined() ? in_channels_ : 0;
    return 2 * channels_ * (expand * height_ * width_ + weights * out_height() * out_width());
  }

  /// Rows [first, last) of the result. in [height, width, channels], out [last - first, out_width, ...].
  void compute(const float* in, int64_t first, int64_t last, float* out) const {
    constexpr int64_t kPixels = 96;  // that go through a layer together, at least
    const int64_t step = (kPixels + out_width() - 1) / out_width();
    const int64_t num_slots = (step - 1) * stride_ + kernel_, row_values = width_ * channels_;
    const at::Tensor wide = at::empty({expand_.defined() ? num_slots * row_values : 0}, at::kFloat),
                     middle = at::empty({step * out_width() * channels_}, at::kFloat);
    float* const slots = wide.mutable_data_ptr<float>();
    std::vector<const float*> rows(height_);
    for (int64_t y = 0; y < height_; ++y)
      rows[y] = expand_.defined() ? slots + y % num_slots * row_values : in + y * row_values;
    int64_t next = std::max<int64_t>(0, first * stride_ - padding_);  // row that is not expanded yet
    for (int64_t y = first; y < last; y += step) {
      const int64_t end = std::min(last, y + step);
      const int64_t needed = std::min(height_, (end - 1) * stride_ - padding_ + kernel_);
      while (expand_.defined() && next < needed) {
        const int64_t count = std::min(needed - next, num_slots - next % num_slots);
        multiply(layers_.expand, expand_, in + next * width_ * in_channels_, count * width_, true,
                 slots + next % num_slots * row_values);
        next += count;
      }
      convolve(rows.data(), y, end, middle.mutable_data_ptr<float>());
      float* const target = out + (y - first) * out_width() * out_channels_;
      multiply(layers_.project, project_, middle.const_data_ptr<float>(), (end - y) * out_width(), false,
               target);
      if (!layers_.has_skip) continue;
      const float* const skipped = in + y * width_ * in_channels_;
      for (int64_t i = 0; i < (end - y) * out_width() * out_channels_; ++i) target[i] += skipped[i];
    }
  }

 private:
  static void multiply(const Conv2d& layer, const at::Tensor& packed, const float* in, int64_t num_rows,
                       bool is_clamped, float* out) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    weight_kernel_of(layer->precision, layer->weight.size(1))
        .multiply({.in = in,
                   .weight = packed.const_data_ptr<float>(),
                   .bias = data_of(layer->bias),
                   .num_rows = num_rows,
                   .depth = layer->weight.size(1),
                   .width = layer->weight.size(0),
                   .lowest = is_clamped ? 0 : -kInfinity,
                   .highest = is_clamped ? static_cast<float>(kHighest) : kInfinity,
                   .out = out,
                   .out_stride = layer->weight.size(0)});
  }

  void convolve(const float* const* rows, int64_t first, int64_t last, float* out) const {
    cpu_kernels().front()->depthwise.convolve_rows({.in = rows,
                                                    .weight = filters_.const_data_ptr<float>(),
                                                    .bias = data_of(layers_.depthwise->bias),
                                                    .height = height_,
                                                    .width = width_,
                                                    .channels = channels_,
                                                    .kernel = kernel_,
                                                    .stride = stride_,
                                                    .padding = padding_,
                                                    .lowest = 0,
                                                    .highest = static_cast<float>(kHighest),
                                                    .out_width = out_width(),
                                                    .first_row = first,
                                                    .last_row = last,
                                                    .out = out});
  }

  InvertedBottleneck& layers_;
  int64_t in_channels_, height_, width_, channels_, out_channels_, kernel_, stride_, padding_;
  at::Tensor filters_, project_, expand_;
};

bool goes_by_bands(const InvertedBottleneck& layers, const at::Tensor& x) {
  const auto is_plain = [&](const Conv2d& layer) {
    return fits_cpu_kernels(layer->weight) && !needs_grad({layer->weight, layer->bias});
  };
  return fits_cpu_kernels(x) && x.dim() == 4 && x.numel() > 0 && !needs_grad({x}) &&
         is_plain(layers.depthwise) && is_plain(layers.project) &&
         (layers.expand.is_empty() || is_plain(layers.expand));
}

}  // namespace

at::Tensor InvertedBottleneck::forward_by_layers(const at::Tensor& x) {
  const at::Tensor wide = expand.is_empty() ? x : expand->forward(x, 0, kHighest),
                   y = project->forward(depthwise->forward(wide, 0, kHighest));
  return has_skip ? x + y : y;
}

at::Tensor InvertedBottleneck::forward(const at::Tensor& x) {
  if (!goes_by_bands(*this, x)) return forward_by_layers(x);
  const int64_t expected = expand.is_empty() ? depthwise->weight.size(0) : expand->weight.size(1);
  TORCH_CHECK(x.size(1) == expected, "bottleneck: expected ", expected, " channels, found ", x.sizes());
  const at::Tensor in = x.contiguous(at::MemoryFormat::ChannelsLast);
  const Bands bands(*this, in);
  const int64_t batch = in.size(0), height = bands.out_height(), out_channels = project->weight.size(0);
  at::Tensor out = at::empty({batch, out_channels, height, bands.out_width()}, in.options(),
                             at::MemoryFormat::ChannelsLast);
  const float* const source = in.const_data_ptr<float>();
  float* const target = out.mutable_data_ptr<float>();
  // Where two pieces meet some rows are expanded twice.
  constexpr int64_t kFewestRows = 6, kPiecesPerThread = 3;
  const int64_t most = shared_threads() == 1 ? 1 : kPiecesPerThread * shared_threads();
  const int64_t pieces = std::clamp<int64_t>(height / kFewestRows, 1, most);
  share_out(batch * pieces, [&](int64_t index) {
    const int64_t b = index / pieces, piece = index % pieces;
    const int64_t first = height * piece / pieces, last = height * (piece + 1) / pieces;
    bands.compute(source + b * in[0].numel(), first, last,
                  target + (b * height + first) * bands.out_width() * out_channels);
  });
  count_flops(batch * bands.flops());
  return out;
}

}  // namespace hqtrack
