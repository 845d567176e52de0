#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hqtrack {

/// Window of the deformable convolution.
/// Output size per axis: (in + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down.
struct Dcnv3Options {
  int64_t kernel_h = 3, kernel_w = 3;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 1, pad_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
  double offset_scale = 1.0;
};

/// Deformable convolution v3 without its linear layers (InternImage, "DCNv3"): every group of channels looks
/// at K = kernel_h * kernel_w moved points around a pixel and sums the bilinear samples weighted by `mask`.
///
///   value  [N, H, W, G * c]         channels last, c channels in each of the G groups
///   offset [N, Ho, Wo, G * K * 2]   (x, y) in pixels of `value`, before the factor offset_scale
///   mask   [N, Ho, Wo, G * K]       weights, used as they are: a softmax over K is the caller's business
///   returns [N, Ho, Wo, G * c]
///
/// The K points run with x outermost (n = ix * kernel_h + iy), unlike most deformable operators. What lies
/// outside the picture counts as zero, also single corners of a bilinear sample; a position that is not a
/// number lies outside.
///
/// One dispatcher operator, hqtrack::dcnv3, differentiable once in all three tensors.
/// CPU: float, double; the same bytes for any number of threads. CUDA: half, bfloat16, float, double, on the
/// current stream; sums are kept in float (double for double), and grad_value is summed by atomics, so that
/// its last bits vary from run to run. The three tensors share device and dtype; any strides. Throws
/// c10::Error naming both numbers when they do not fit.
at::Tensor dcnv3(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                 const Dcnv3Options& options);

/// The same formula in plain tensor operations, on any device, differentiated by LibTorch: slow, and what
/// dcnv3 is tested against. half and bfloat16 are computed in float.
at::Tensor dcnv3_reference(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                           const Dcnv3Options& options);

}  // namespace hqtrack
