#include <ATen/Context.h>
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>

#include "tracker/encoders/dcnv3_kernels.h"

namespace hqtrack {
namespace {

constexpr int kThreads = 256;

/// What a kernel needs of the geometry, in the type it sums in.
template <class Sum>
struct Window {
  explicit Window(const Dcnv3Geometry& g)
      : height(g.height),
        width(g.width),
        height_out(g.height_out),
        width_out(g.width_out),
        groups(g.options.groups),
        channels(g.group_channels),
        kernel_h(static_cast<int>(g.options.kernel_h)),
        kernel_w(static_cast<int>(g.options.kernel_w)),
        stride_h(g.options.stride_h),
        stride_w(g.options.stride_w),
        dilation_h(static_cast<Sum>(g.options.dilation_h)),
        dilation_w(static_cast<Sum>(g.options.dilation_w)),
        first_x(static_cast<Sum>(g.first_x())),
        first_y(static_cast<Sum>(g.first_y())),
        scale(static_cast<Sum>(g.options.offset_scale)) {}

  int64_t height, width, height_out, width_out, groups, channels;
  int kernel_h, kernel_w;
  int64_t stride_h, stride_w;
  Sum dilation_h, dilation_w, first_x, first_y, scale;
};

/// A group of one output pixel.
template <class Sum>
struct Place {
  __device__ Place(const Window<Sum>& w, int64_t index) : group(index % w.groups), pixel(index / w.groups) {
    const int64_t row = pixel / w.width_out;
    x = w.first_x + static_cast<Sum>(pixel % w.width_out * w.stride_w);
    y = w.first_y + static_cast<Sum>(row % w.height_out * w.stride_h);
    picture = row / w.height_out;
  }
  int64_t group, pixel, picture;
  Sum x, y;
};

/// Bilinear weights and corners of one sampling point.
template <class Sum>
struct Sample {
  /// False when the point lies outside the picture: it then adds nothing to anything.
  __device__ bool find(const Window<Sum>& w, Sum x, Sum y) {
    if (!(x > Sum(-1) && y > Sum(-1) && x < static_cast<Sum>(w.width) && y < static_cast<Sum>(w.height)))
      return false;
    const Sum floor_x = floor(x), floor_y = floor(y);
    column = static_cast<int64_t>(floor_x);
    row = static_cast<int64_t>(floor_y);
    right = x - floor_x;
    lower = y - floor_y;
    has_left = column >= 0;
    has_right = column + 1 < w.width;
    has_upper = row >= 0;
    has_lower = row + 1 < w.height;
    return true;
  }
  int64_t column, row;
  Sum right, lower;  // weights of the right and the lower neighbours
  bool has_left, has_right, has_upper, has_lower;
};

/// kVector values that are read and written as one.
template <class T, int kVector>
struct alignas(sizeof(T) * kVector) Pack {
  T values[kVector];
};

/// One thread: kVector neighbouring channels of one group of one output pixel.
template <class T, class Sum, int kVector>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(const T* __restrict__ value, const T* __restrict__ offset, const T* __restrict__ mask,
                   T* __restrict__ output, Window<Sum> w, int64_t count) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t packs = w.channels / kVector;
  const int64_t first_channel = index % packs * kVector;
  const Place<Sum> place(w, index / packs);
  const int64_t stride = w.groups * w.channels;
  const int points = w.kernel_h * w.kernel_w;
  const int64_t first_point = (place.pixel * w.groups + place.group) * points;
  const T* plane =
      value + place.picture * w.height * w.width * stride + place.group * w.channels + first_channel;

  Sum sum[kVector] = {};
  const auto add = [&](int64_t row, int64_t column, Sum weight) {
    const auto pack = *reinterpret_cast<const Pack<T, kVector>*>(plane + (row * w.width + column) * stride);
#pragma unroll
    for (int j = 0; j < kVector; ++j) sum[j] += weight * static_cast<Sum>(pack.values[j]);
  };
  for (int n = 0; n < points; ++n) {
    const T* pair = offset + (first_point + n) * 2;
    const Sum shift_x = static_cast<Sum>(n / w.kernel_h) * w.dilation_w + static_cast<Sum>(pair[0]);
    const Sum shift_y = static_cast<Sum>(n % w.kernel_h) * w.dilation_h + static_cast<Sum>(pair[1]);
    Sample<Sum> s;
    if (!s.find(w, place.x + shift_x * w.scale, place.y + shift_y * w.scale)) continue;
    const Sum weight = static_cast<Sum>(mask[first_point + n]);
    const Sum upper = weight * (1 - s.lower), lower = weight * s.lower;
    if (s.has_upper && s.has_left) add(s.row, s.column, upper * (1 - s.right));
    if (s.has_upper && s.has_right) add(s.row, s.column + 1, upper * s.right);
    if (s.has_lower && s.has_left) add(s.row + 1, s.column, lower * (1 - s.right));
    if (s.has_lower && s.has_right) add(s.row + 1, s.column + 1, lower * s.right);
  }
  Pack<T, kVector> pack;
#pragma unroll
  for (int j = 0; j < kVector; ++j) pack.values[j] = static_cast<T>(sum[j]);
  *reinterpret_cast<Pack<T, kVector>*>(output + place.pixel * stride + place.group * w.channels +
                                       first_channel) = pack;
}

/// Sum over the `lanes` threads that share a group; all of them call it together.
template <class Sum>
__device__ Sum sum_over_lanes(Sum sum, int lanes, unsigned members) {
  for (int step = lanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(members, sum, step);
  return sum;
}

/// `lanes` threads (a power of two, at most 16): one group of one output pixel; lane l has channels l, l +
/// lanes ...
template <class T, class Sum>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(const T* __restrict__ grad_output, const T* __restrict__ value,
                    const T* __restrict__ offset, const T* __restrict__ mask, Sum* __restrict__ grad_value,
                    T* __restrict__ grad_offset, T* __restrict__ grad_mask, Window<Sum> w, int lanes,
                    int64_t count) {
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / lanes;
  if (index >= count) return;  // all lanes of a group leave together
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const unsigned members = ((1u << lanes) - 1) << (threadIdx.x % 32 - lane);
  const Place<Sum> place(w, index);
  const int64_t stride = w.groups * w.channels;
  const int points = w.kernel_h * w.kernel_w;
  const int64_t first_point = index * points;
  const int64_t plane = place.picture * w.height * w.width * stride + place.group * w.channels;
  const T* grads = grad_output + place.pixel * stride + place.group * w.channels;

  for (int n = 0; n < points; ++n) {
    const T* pair = offset + (first_point + n) * 2;
    const Sum shift_x = static_cast<Sum>(n / w.kernel_h) * w.dilation_w + static_cast<Sum>(pair[0]);
    const Sum shift_y = static_cast<Sum>(n % w.kernel_h) * w.dilation_h + static_cast<Sum>(pair[1]);
    Sample<Sum> s;
    if (!s.find(w, place.x + shift_x * w.scale, place.y + shift_y * w.scale))
      continue;  // its gradients stay 0
    const Sum weight = static_cast<Sum>(mask[first_point + n]);
    const int64_t corner = plane + (s.row * w.width + s.column) * stride;
    Sum sampled = 0, along_x = 0, along_y = 0;
    for (int64_t j = lane; j < w.channels; j += lanes) {
      const Sum grad = static_cast<Sum>(grads[j]);
      // `weight_x`, `weight_y`: bilinear weights of this corner; `sign_x`, `sign_y`: their derivatives.
      const auto visit = [&](int64_t at, Sum weight_x, Sum weight_y, Sum sign_x, Sum sign_y) {
        const Sum product = grad * static_cast<Sum>(value[at]);
        sampled += weight_x * weight_y * product;
        along_x += sign_x * weight_y * product;
        along_y += sign_y * weight_x * product;
        atomicAdd(grad_value + at, weight * weight_x * weight_y * grad);
      };
      const int64_t below = corner + w.width * stride;
      if (s.has_upper && s.has_left) visit(corner + j, 1 - s.right, 1 - s.lower, -1, -1);
      if (s.has_upper && s.has_right) visit(corner + stride + j, s.right, 1 - s.lower, 1, -1);
      if (s.has_lower && s.has_left) visit(below + j, 1 - s.right, s.lower, -1, 1);
      if (s.has_lower && s.has_right) visit(below + stride + j, s.right, s.lower, 1, 1);
    }
    sampled = sum_over_lanes(sampled, lanes, members);
    along_x = sum_over_lanes(along_x, lanes, members);
    along_y = sum_over_lanes(along_y, lanes, members);
    if (lane == 0) {
      grad_mask[first_point + n] = static_cast<T>(sampled);
      grad_offset[(first_point + n) * 2] = static_cast<T>(weight * w.scale * along_x);
      grad_offset[(first_point + n) * 2 + 1] = static_cast<T>(weight * w.scale * along_y);
    }
  }
}

unsigned blocks_for(int64_t threads) {
  const int64_t blocks = (threads + kThreads - 1) / kThreads;
  TORCH_CHECK(blocks <= std::numeric_limits<int32_t>::max(), "dcnv3: expected at most ",
              std::numeric_limits<int32_t>::max(), " blocks of threads, found ", blocks);
  return static_cast<unsigned>(blocks);
}

bool is_aligned(const void* pointer, size_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

template <class T, int kVector>
void launch_forward(const T* value, const T* offset, const T* mask, T* output, const Dcnv3Geometry& g) {
  using Sum = at::opmath_type<T>;
  const int64_t count = g.batch * g.height_out * g.width_out * (g.channels() / kVector);
  forward_kernel<T, Sum, kVector><<<blocks_for(count), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      value, offset, mask, output, Window<Sum>(g), count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

/// Threads that share a group in the backward pass: enough for its channels, at most 16.
int lanes_for(int64_t channels) {
  int lanes = 1;
  while (lanes < 16 && lanes * 2 <= channels) lanes *= 2;
  return lanes;
}

template <class T>
void launch_backward(const T* grad_output, const T* value, const T* offset, const T* mask,
                     at::opmath_type<T>* grad_value, T* grad_offset, T* grad_mask, const Dcnv3Geometry& g) {
  using Sum = at::opmath_type<T>;
  const int lanes = lanes_for(g.group_channels);
  const int64_t count = g.batch * g.height_out * g.width_out * g.options.groups;
  backward_kernel<T, Sum><<<blocks_for(count * lanes), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      grad_output, value, offset, mask, grad_value, grad_offset, grad_mask, Window<Sum>(g), lanes, count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

at::Tensor dcnv3_forward_cuda(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                              const Dcnv3Geometry& g) {
  const c10::cuda::CUDAGuard guard(value.device());
  auto output = at::zeros({g.batch, g.height_out, g.width_out, g.channels()}, value.options());
  if (output.numel() == 0 || value.numel() == 0) return output;
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, value.scalar_type(), "dcnv3 on CUDA", [&] {
    constexpr int kVector = 16 / sizeof(scalar_t);  // 16 bytes: the widest single access
    const auto* values = value.const_data_ptr<scalar_t>();
    auto* outputs = output.mutable_data_ptr<scalar_t>();
    const bool fits = g.group_channels % kVector == 0 && is_aligned(values, 16) && is_aligned(outputs, 16);
    const auto launch = fits ? launch_forward<scalar_t, kVector> : launch_forward<scalar_t, 1>;
    launch(values, offset.const_data_ptr<scalar_t>(), mask.const_data_ptr<scalar_t>(), outputs, g);
  });
  return output;
}

Dcnv3Gradients dcnv3_backward_cuda(const at::Tensor& grad_output, const at::Tensor& value,
                                   const at::Tensor& offset, const at::Tensor& mask, const Dcnv3Geometry& g) {
  at::globalContext().alertNotDeterministic("hqtrack::dcnv3_backward on CUDA");
  const c10::cuda::CUDAGuard guard(value.device());
  auto sums = at::zeros_like(value, value.options().dtype(at::toOpMathType(value.scalar_type())));
  auto grad_offset = at::zeros_like(offset), grad_mask = at::zeros_like(mask);
  if (grad_output.numel() > 0 && value.numel() > 0) {
    AT_DISPATCH_FLOATING_TYPES_AND2(
        at::kHalf, at::kBFloat16, value.scalar_type(), "dcnv3_backward on CUDA", [&] {
          launch_backward<scalar_t>(grad_output.const_data_ptr<scalar_t>(), value.const_data_ptr<scalar_t>(),
                                    offset.const_data_ptr<scalar_t>(), mask.const_data_ptr<scalar_t>(),
                                    sums.mutable_data_ptr<at::opmath_type<scalar_t>>(),
                                    grad_offset.mutable_data_ptr<scalar_t>(),
                                    grad_mask.mutable_data_ptr<scalar_t>(), g);
        });
  }
  return {sums.to(value.scalar_type()), grad_offset, grad_mask};
}

}  // namespace hqtrack
