#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

#include "tracker/encoders/dcnv3.h"

// Between dcnv3.cpp, which checks and dispatches, and the kernels of the devices.
namespace hqtrack {

/// Sizes of one call, checked against each other.
struct Dcnv3Geometry {
  Dcnv3Options options;
  int64_t batch = 0, height = 0, width = 0, height_out = 0, width_out = 0, group_channels = 0;

  int64_t points() const { return options.kernel_h * options.kernel_w; }
  int64_t channels() const { return options.groups * group_channels; }
  /// Coordinate of output pixel 0 before dilation and offset; output pixel i adds i * stride.
  double first_x() const { return first(options.kernel_w, options.pad_w, options.dilation_w); }
  double first_y() const { return first(options.kernel_h, options.pad_h, options.dilation_h); }

 private:
  double first(int64_t kernel, int64_t pad, int64_t dilation) const {
    const auto reach = static_cast<double>((dilation * (kernel - 1)) >> 1);
    return reach - static_cast<double>(pad) - reach * options.offset_scale;
  }
};

/// grad_value, grad_offset, grad_mask.
using Dcnv3Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

/// All tensors contiguous and on the device of the name.
at::Tensor dcnv3_forward_cpu(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                             const Dcnv3Geometry& geometry);
Dcnv3Gradients dcnv3_backward_cpu(const at::Tensor& grad_output, const at::Tensor& value,
                                  const at::Tensor& offset, const at::Tensor& mask,
                                  const Dcnv3Geometry& geometry);
at::Tensor dcnv3_forward_cuda(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                              const Dcnv3Geometry& geometry);
Dcnv3Gradients dcnv3_backward_cuda(const at::Tensor& grad_output, const at::Tensor& value,
                                   const at::Tensor& offset, const at::Tensor& mask,
                                   const Dcnv3Geometry& geometry);

}  // namespace hqtrack
