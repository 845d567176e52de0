#include "tracker/encoders/dcnv3.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <limits>

#include "core/profile.h"
#include "tracker/encoders/dcnv3_kernels.h"

namespace hqtrack {
namespace {

int64_t output_size(const char* axis, int64_t in, int64_t kernel, int64_t stride, int64_t pad,
                    int64_t dilation) {
  TORCH_CHECK(kernel >= 1 && stride >= 1 && pad >= 0 && dilation >= 1, "dcnv3: ", axis,
              ": expected kernel, stride and dilation of at least 1 and pad of at least 0, found ", kernel,
              ", ", stride, ", ", dilation, " and ", pad);
  const int64_t extent = dilation * (kernel - 1) + 1;
  TORCH_CHECK(in + 2 * pad >= extent, "dcnv3: ", axis, ": expected at least ", extent,
              " padded pixels, found ", in + 2 * pad);
  return (in + 2 * pad - extent) / stride + 1;
}

void check_like_value(const char* name, const at::Tensor& tensor, const at::Tensor& value,
                      at::IntArrayRef sizes) {
  TORCH_CHECK(tensor.sizes() == sizes, "dcnv3: ", name, ": expected shape ", sizes, ", found ",
              tensor.sizes());
  TORCH_CHECK(tensor.scalar_type() == value.scalar_type(), "dcnv3: ", name, ": expected ",
              value.scalar_type(), " as value has, found ", tensor.scalar_type());
  TORCH_CHECK(tensor.device() == value.device(), "dcnv3: ", name, ": expected device ", value.device(),
              " as value has, found ", tensor.device());
}

Dcnv3Geometry checked_geometry(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                               const Dcnv3Options& options) {
  TORCH_CHECK(value.dim() == 4, "dcnv3: value: expected 4 dimensions, found ", value.dim());
  TORCH_CHECK(value.is_floating_point(), "dcnv3: value: expected a floating point type, found ",
              value.scalar_type());
  TORCH_CHECK(options.groups >= 1 && value.size(3) % options.groups == 0,
              "dcnv3: value: expected channels that are a multiple of ", options.groups, " groups, found ",
              value.size(3));
  Dcnv3Geometry geometry;
  geometry.options = options;
  geometry.batch = value.size(0);
  geometry.height = value.size(1);
  geometry.width = value.size(2);
  geometry.group_channels = value.size(3) / options.groups;
  TORCH_CHECK(geometry.height * geometry.width < std::numeric_limits<int32_t>::max(),
              "dcnv3: value: expected fewer than 2^31 pixels, found ", geometry.height, " x ",
              geometry.width);
  geometry.height_out = output_size("height", geometry.height, options.kernel_h, options.stride_h,
                                    options.pad_h, options.dilation_h);
  geometry.width_out = output_size("width", geometry.width, options.kernel_w, options.stride_w, options.pad_w,
                                   options.dilation_w);
  const int64_t weights = options.groups * geometry.points();
  check_like_value("offset", offset, value,
                   {geometry.batch, geometry.height_out, geometry.width_out, weights * 2});
  check_like_value("mask", mask, value, {geometry.batch, geometry.height_out, geometry.width_out, weights});
  return geometry;
}

Dcnv3Options make_options(at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef pad,
                          at::IntArrayRef dilation, int64_t groups, double offset_scale) {
  return {kernel[0], kernel[1],   stride[0],   stride[1], pad[0],
          pad[1],    dilation[0], dilation[1], groups,    offset_scale};
}

// The two operators of the dispatcher.
using Forward = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::IntArrayRef,
                           at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t, double);
using Backward = Dcnv3Gradients(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
                                double);

at::Tensor call_forward(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                        const Dcnv3Options& o) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("hqtrack::dcnv3", "").typed<Forward>();
  return op.call(value, offset, mask, {o.kernel_h, o.kernel_w}, {o.stride_h, o.stride_w}, {o.pad_h, o.pad_w},
                 {o.dilation_h, o.dilation_w}, o.groups, o.offset_scale);
}

Dcnv3Gradients call_backward(const at::Tensor& grad_output, const at::Tensor& value, const at::Tensor& offset,
                             const at::Tensor& mask, const Dcnv3Options& o) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("hqtrack::dcnv3_backward", "").typed<Backward>();
  return op.call(grad_output, value, offset, mask, {o.kernel_h, o.kernel_w}, {o.stride_h, o.stride_w},
                 {o.pad_h, o.pad_w}, {o.dilation_h, o.dilation_w}, o.groups, o.offset_scale);
}

template <auto kKernel>
at::Tensor forward_on_device(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                             at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef pad,
                             at::IntArrayRef dilation, int64_t groups, double offset_scale) {
  const auto geometry = checked_geometry(value, offset, mask,
                                         make_options(kernel, stride, pad, dilation, groups, offset_scale));
  return kKernel(value.contiguous(), offset.contiguous(), mask.contiguous(), geometry);
}

template <auto kKernel>
Dcnv3Gradients backward_on_device(const at::Tensor& grad_output, const at::Tensor& value,
                                  const at::Tensor& offset, const at::Tensor& mask, at::IntArrayRef kernel,
                                  at::IntArrayRef stride, at::IntArrayRef pad, at::IntArrayRef dilation,
                                  int64_t groups, double offset_scale) {
  const auto geometry = checked_geometry(value, offset, mask,
                                         make_options(kernel, stride, pad, dilation, groups, offset_scale));
  check_like_value("grad_output", grad_output, value,
                   {geometry.batch, geometry.height_out, geometry.width_out, geometry.channels()});
  return kKernel(grad_output.contiguous(), value.contiguous(), offset.contiguous(), mask.contiguous(),
                 geometry);
}

class Dcnv3Function : public torch::autograd::Function<Dcnv3Function> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& value,
                            const at::Tensor& offset, const at::Tensor& mask, const Dcnv3Options& o) {
    context->save_for_backward({value, offset, mask});
    context->saved_data["window"] =
        std::vector<int64_t>{o.kernel_h, o.kernel_w,   o.stride_h,   o.stride_w, o.pad_h,
                             o.pad_w,    o.dilation_h, o.dilation_w, o.groups};
    context->saved_data["offset_scale"] = o.offset_scale;
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_forward(value, offset, mask, o);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grad_outputs) {
    const auto saved = context->get_saved_variables();
    const auto w = context->saved_data["window"].toIntVector();
    const Dcnv3Options options{w[0], w[1], w[2], w[3], w[4],
                               w[5], w[6], w[7], w[8], context->saved_data["offset_scale"].toDouble()};
    auto [value, offset, mask] = call_backward(grad_outputs[0], saved[0], saved[1], saved[2], options);
    return {value, offset, mask, at::Tensor()};
  }
};

at::Tensor forward_autograd(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                            at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef pad,
                            at::IntArrayRef dilation, int64_t groups, double offset_scale) {
  const auto options = make_options(kernel, stride, pad, dilation, groups, offset_scale);
  const bool records =
      at::GradMode::is_enabled() && (value.requires_grad() || offset.requires_grad() || mask.requires_grad());
  if (records) return Dcnv3Function::apply(value, offset, mask, options);
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return call_forward(value, offset, mask, options);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(hqtrack, m) {
  m.def(
      "dcnv3(Tensor value, Tensor offset, Tensor mask, int[2] kernel, int[2] stride, int[2] pad, int[2] "
      "dilation, "
      "int groups, float offset_scale) -> Tensor");
  m.def(
      "dcnv3_backward(Tensor grad_output, Tensor value, Tensor offset, Tensor mask, int[2] kernel, int[2] "
      "stride, "
      "int[2] pad, int[2] dilation, int groups, float offset_scale) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(hqtrack, CPU, m) {
  m.impl("dcnv3", forward_on_device<dcnv3_forward_cpu>);
  m.impl("dcnv3_backward", backward_on_device<dcnv3_backward_cpu>);
}

// Here and not beside the kernels: the linker drops an object of a static library that only registers itself.
#ifdef HQTRACK_WITH_CUDA
TORCH_LIBRARY_IMPL(hqtrack, CUDA, m) {
  m.impl("dcnv3", forward_on_device<dcnv3_forward_cuda>);
  m.impl("dcnv3_backward", backward_on_device<dcnv3_backward_cuda>);
}
#endif

TORCH_LIBRARY_IMPL(hqtrack, Autograd, m) {
  m.impl("dcnv3", forward_autograd);
  m.impl("dcnv3_backward", torch::autograd::autogradNotImplementedFallback());
}

at::Tensor dcnv3(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                 const Dcnv3Options& options) {
  const at::Tensor out = call_forward(value, offset, mask, options);
  // Of each point four corners are weighed and added, and their sum once more.
  count_flops(10 * out.numel() * options.kernel_h * options.kernel_w);
  return out;
}

at::Tensor dcnv3_reference(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                           const Dcnv3Options& options) {
  const auto g = checked_geometry(value, offset, mask, options);
  const auto type = value.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (g.height * g.width == 0) {
    return at::zeros({g.batch, g.height_out, g.width_out, g.channels()}, value.options());
  }
  const int64_t G = options.groups, K = g.points(), c = g.group_channels,
                cells = g.height_out * g.width_out * K;
  const auto numbers = at::TensorOptions().device(value.device()).dtype(type);

  // Positions of the samples, [N, Ho, Wo, G, K].
  const auto pairs = offset.to(type).reshape({g.batch, g.height_out, g.width_out, G, K, 2});
  const auto column = at::arange(g.width_out, numbers) * options.stride_w + g.first_x();
  const auto row = at::arange(g.height_out, numbers) * options.stride_h + g.first_y();
  const auto point_x =
      at::arange(options.kernel_w, numbers).repeat_interleave(options.kernel_h) * options.dilation_w;
  const auto point_y = at::arange(options.kernel_h, numbers).repeat({options.kernel_w}) * options.dilation_h;
  const auto x = column.view({1, 1, -1, 1, 1}) + (pairs.select(-1, 0) + point_x) * options.offset_scale;
  const auto y = row.view({1, -1, 1, 1, 1}) + (pairs.select(-1, 1) + point_y) * options.offset_scale;
  const auto inside = (x > -1) & (x < g.width) & (y > -1) & (y < g.height);

  const auto left = x.detach().floor(), top = y.detach().floor();
  const auto pixels = value.to(type).reshape({g.batch, g.height * g.width, G, c});
  auto sum = at::zeros({g.batch, cells, G, c}, numbers);
  for (const int64_t dy : {0, 1}) {
    for (const int64_t dx : {0, 1}) {
      const auto corner_x = left + dx, corner_y = top + dy;
      const auto exists =
          inside & (corner_x >= 0) & (corner_x < g.width) & (corner_y >= 0) & (corner_y < g.height);
      const auto weight = (dx ? x - left : 1 - (x - left)) * (dy ? y - top : 1 - (y - top));
      const auto index = (corner_y * g.width + corner_x).where(exists, at::zeros({}, numbers)).to(at::kLong);
      const auto used =
          (weight * mask.to(type).reshape(weight.sizes())).where(exists, at::zeros({}, numbers));
      // [N, Ho, Wo, G, K] -> [N, Ho * Wo * K, G, 1]
      const auto as_cells = [&](const at::Tensor& t) {
        return t.transpose(-1, -2).reshape({g.batch, cells, G, 1});
      };
      sum = sum + pixels.gather(1, as_cells(index).expand({-1, -1, -1, c})) * as_cells(used);
    }
  }
  return sum.view({g.batch, g.height_out, g.width_out, K, G * c}).sum(3).to(value.scalar_type());
}

}  // namespace hqtrack
