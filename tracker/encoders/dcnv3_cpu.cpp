#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/threads.h"
#include "tracker/encoders/dcnv3_kernels.h"

// Every kernel is compiled for the plain processor and, on x86-64, once more for AVX2; which one runs is
// decided at run time. The bodies are always inlined and hold no lambdas, so that they take their caller's
// instructions.
#define HQTRACK_INLINE [[gnu::always_inline]] inline
#if defined(__x86_64__) && defined(__GNUC__)
#define HQTRACK_AVX2 [[gnu::target("avx2,fma")]]
#else
#define HQTRACK_AVX2
#endif

namespace hqtrack {
namespace {

bool has_avx2() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

/// One axis of many sampling points: the two neighbours of each, inside the picture, and what they weigh.
template <class T>
struct AxisNeighbours {
  explicit AxisNeighbours(int64_t count)
      : index0(count), index1(count), weight0(count), weight1(count), slope0(count), slope1(count) {}

  std::vector<int32_t> index0, index1;  // times `step`
  std::vector<T> weight0, weight1;      // 0 where the neighbour lies outside
  std::vector<T> slope0, slope1;        // derivative of the weight by the coordinate: -1 and 1, or 0
};

/// coordinate = first + (shift[i] + offset[2 i]) * scale, picture of `size` pixels.
template <class T>
HQTRACK_INLINE void find_neighbours(AxisNeighbours<T>& axis, const T* offset, const T* shift, int64_t count,
                                    T first, T scale, int32_t size, int32_t step) {
  int32_t *index0 = axis.index0.data(), *index1 = axis.index1.data();
  T *weight0 = axis.weight0.data(), *weight1 = axis.weight1.data();
  T *slope0 = axis.slope0.data(), *slope1 = axis.slope1.data();
  const T low = -1, high = static_cast<T>(size);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    T at = first + (shift[i] + offset[2 * i]) * scale;
    at = at > low ? at : low;  // also when it is not a number
    at = at < high ? at : high;
    const auto truncated = static_cast<int32_t>(at);
    const int32_t below = truncated - (at < static_cast<T>(truncated) ? 1 : 0);
    const T fraction = at - static_cast<T>(below);
    // & and not &&: no branch, so that the loop becomes vector instructions.
    const auto exists0 = static_cast<T>((below >= 0) & (below < size));
    const auto exists1 = static_cast<T>((at > low) & (below + 1 < size));
    index0[i] = std::clamp(below, 0, size - 1) * step;
    index1[i] = std::clamp(below + 1, 0, size - 1) * step;
    weight0[i] = (1 - fraction) * exists0;
    weight1[i] = fraction * exists1;
    slope0[i] = -exists0;
    slope1[i] = exists1;
  }
}

/// What each point adds to its coordinate before its offset, for `repeats` groups.
template <class T>
std::vector<T> point_shifts(int64_t repeats, int64_t kernel_w, int64_t kernel_h, int64_t dilation,
                            bool along_x) {
  std::vector<T> shifts;
  for (int64_t repeat = 0; repeat < repeats; ++repeat) {
    for (int64_t x = 0; x < kernel_w; ++x) {
      for (int64_t y = 0; y < kernel_h; ++y) shifts.push_back(static_cast<T>((along_x ? x : y) * dilation));
    }
  }
  return shifts;
}

/// Finds the points of one output pixel: all groups at once (forward) or one group (backward).
template <class T>
struct PointFinder {
  PointFinder(const Dcnv3Geometry& g, int64_t groups)
      : geometry(g),
        count(groups * g.points()),
        shift_x(point_shifts<T>(groups, g.options.kernel_w, g.options.kernel_h, g.options.dilation_w, true)),
        shift_y(point_shifts<T>(groups, g.options.kernel_w, g.options.kernel_h, g.options.dilation_h, false)),
        x(count),
        y(count) {}

  HQTRACK_INLINE void find(const T* offset, int64_t row, int64_t column) {
    const auto& o = geometry.options;
    const auto scale = static_cast<T>(o.offset_scale);
    find_neighbours<T>(x, offset, shift_x.data(), count,
                       static_cast<T>(geometry.first_x() + column * o.stride_w), scale,
                       static_cast<int32_t>(geometry.width), 1);
    find_neighbours<T>(y, offset + 1, shift_y.data(), count,
                       static_cast<T>(geometry.first_y() + row * o.stride_h), scale,
                       static_cast<int32_t>(geometry.height), static_cast<int32_t>(geometry.width));
  }

  const Dcnv3Geometry& geometry;
  int64_t count;
  std::vector<T> shift_x, shift_y;
  AxisNeighbours<T> x, y;  // y's indices count pixels: row * width
};

/// The four corners of point n: elements after the first of the picture's group, and bilinear weights.
template <class T>
struct Corners {
  HQTRACK_INLINE Corners(const PointFinder<T>& points, int64_t n, int64_t channels) {
    const auto &x = points.x, &y = points.y;
    at00 = (y.index0[n] + x.index0[n]) * channels;
    at01 = (y.index0[n] + x.index1[n]) * channels;
    at10 = (y.index1[n] + x.index0[n]) * channels;
    at11 = (y.index1[n] + x.index1[n]) * channels;
    weight00 = y.weight0[n] * x.weight0[n];
    weight01 = y.weight0[n] * x.weight1[n];
    weight10 = y.weight1[n] * x.weight0[n];
    weight11 = y.weight1[n] * x.weight1[n];
  }
  int64_t at00, at01, at10, at11;
  T weight00, weight01, weight10, weight11;
};

/// The channels of a group in registers of kBytes, where their number is known. Left to itself the compiler
/// unrolls the loop over points and forgets to vectorise the one over channels.
template <class T, int64_t kChannels, int64_t kBytes>
struct Registers {
  typedef T Register __attribute__((vector_size(kBytes)));
  typedef T InMemory __attribute__((vector_size(kBytes), aligned(alignof(T)), may_alias));  // at any address
  static constexpr int64_t kLanes = kBytes / sizeof(T), kCount = kChannels / kLanes;

  HQTRACK_INLINE void load(const T* from) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kCount; ++i) values[i] = *reinterpret_cast<const InMemory*>(from + i * kLanes);
  }
  HQTRACK_INLINE void store(T* to) const {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kCount; ++i) *reinterpret_cast<InMemory*>(to + i * kLanes) = values[i];
  }
  /// += factor * other
  HQTRACK_INLINE void add(T factor, const Registers& other) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kCount; ++i) values[i] += factor * other.values[i];
  }
  /// Sum of the products of all channels, always in the same order.
  HQTRACK_INLINE T dot(const Registers& other) const {
    Register sums = values[0] * other.values[0];
#pragma GCC unroll 16
    for (int64_t i = 1; i < kCount; ++i) sums += values[i] * other.values[i];
    T sum = 0;
#pragma GCC unroll 16
    for (int64_t lane = 0; lane < kLanes; ++lane) sum += sums[lane];
    return sum;
  }

  Register values[kCount];
};

/// out[j] = sum over points n of mask[n] * bilinear sample of plane[j].
template <class T, int64_t kChannels, int64_t kBytes>
HQTRACK_INLINE void sample_group(T* out, const T* plane, const PointFinder<T>& points, const T* mask,
                                 int64_t begin, int64_t end, int64_t channels) {
  Registers<T, kChannels, kBytes> sum{}, value;
  for (int64_t n = begin; n < end; ++n) {
    const Corners<T> c(points, n, channels);
    value.load(plane + c.at00);
    sum.add(mask[n] * c.weight00, value);
    value.load(plane + c.at01);
    sum.add(mask[n] * c.weight01, value);
    value.load(plane + c.at10);
    sum.add(mask[n] * c.weight10, value);
    value.load(plane + c.at11);
    sum.add(mask[n] * c.weight11, value);
  }
  sum.store(out);
}

/// The same for any number of channels; `out` starts as zero.
template <class T>
HQTRACK_INLINE void sample_group_of_any_size(T* out, const T* plane, const PointFinder<T>& points,
                                             const T* mask, int64_t begin, int64_t end, int64_t channels,
                                             int64_t group_channels) {
  for (int64_t n = begin; n < end; ++n) {
    const Corners<T> c(points, n, channels);
#pragma omp simd
    for (int64_t j = 0; j < group_channels; ++j) {
      out[j] += mask[n] * (c.weight00 * plane[c.at00 + j] + c.weight01 * plane[c.at01 + j] +
                           c.weight10 * plane[c.at10 + j] + c.weight11 * plane[c.at11 + j]);
    }
  }
}

template <class T>
struct ForwardArguments {
  const T *value, *offset, *mask;
  T* output;
  const Dcnv3Geometry& geometry;
};

/// Output rows [begin, end) of all pictures. kChannels: channels of a group, 0 when only known at run time;
/// kBytes: size of a vector register.
template <class T, int64_t kChannels, int64_t kBytes>
HQTRACK_INLINE void forward_rows(const ForwardArguments<T>& a, int64_t begin, int64_t end) {
  const Dcnv3Geometry& g = a.geometry;
  const int64_t channels = g.channels(), K = g.points(), c = kChannels ? kChannels : g.group_channels;
  PointFinder<T> points(g, g.options.groups);
  for (int64_t row = begin; row < end; ++row) {
    const T* picture = a.value + row / g.height_out * g.height * g.width * channels;
    for (int64_t column = 0; column < g.width_out; ++column) {
      const int64_t pixel = row * g.width_out + column;
      points.find(a.offset + pixel * points.count * 2, row % g.height_out, column);
      const T* mask = a.mask + pixel * points.count;
      for (int64_t group = 0; group < g.options.groups; ++group) {
        T* out = a.output + pixel * channels + group * c;
        if constexpr (kChannels > 0) {
          sample_group<T, kChannels, kBytes>(out, picture + group * c, points, mask, group * K,
                                             (group + 1) * K, channels);
        } else {
          sample_group_of_any_size<T>(out, picture + group * c, points, mask, group * K, (group + 1) * K,
                                      channels, c);
        }
      }
    }
  }
}

template <class T, int64_t kChannels>
void forward_plain(const ForwardArguments<T>& a, int64_t begin, int64_t end) {
  forward_rows<T, kChannels, 16>(a, begin, end);
}
template <class T, int64_t kChannels>
HQTRACK_AVX2 void forward_avx2(const ForwardArguments<T>& a, int64_t begin, int64_t end) {
  forward_rows<T, kChannels, 32>(a, begin, end);
}

template <class T>
struct BackwardArguments {
  const T *grad_output, *value, *offset, *mask;
  T *grad_value, *grad_offset, *grad_mask;
  const Dcnv3Geometry& geometry;
};

/// Sums over the channels of gradient times corner value.
template <class T>
struct CornerProducts {
  T at00 = 0, at01 = 0, at10 = 0, at11 = 0;
};

/// Multiplies the gradient of the output with the values of the corners, and adds its share (corner weight *
/// mask) to the gradients of the corners.
template <class T, int64_t kChannels, int64_t kBytes>
HQTRACK_INLINE CornerProducts<T> visit_corners(const T* grad_of_output, const T* value, T* grad_value,
                                               const Corners<T>& c, T mask) {
  Registers<T, kChannels, kBytes> grad, corner;
  CornerProducts<T> products;
  grad.load(grad_of_output);
  const int64_t at[] = {c.at00, c.at01, c.at10, c.at11};
  const T weights[] = {c.weight00, c.weight01, c.weight10, c.weight11};
  T* const sums[] = {&products.at00, &products.at01, &products.at10, &products.at11};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    corner.load(value + at[i]);
    *sums[i] = grad.dot(corner);
    corner.load(grad_value + at[i]);
    corner.add(weights[i] * mask, grad);
    corner.store(grad_value + at[i]);
  }
  return products;
}

/// The same for any number of channels.
template <class T>
HQTRACK_INLINE CornerProducts<T> visit_corners_of_any_size(const T* grad, const T* value, T* grad_value,
                                                           const Corners<T>& c, T mask,
                                                           int64_t group_channels) {
  CornerProducts<T> p;
  for (int64_t j = 0; j < group_channels; ++j) {
    p.at00 += grad[j] * value[c.at00 + j];
    p.at01 += grad[j] * value[c.at01 + j];
    p.at10 += grad[j] * value[c.at10 + j];
    p.at11 += grad[j] * value[c.at11 + j];
    grad_value[c.at00 + j] += c.weight00 * mask * grad[j];
    grad_value[c.at01 + j] += c.weight01 * mask * grad[j];
    grad_value[c.at10 + j] += c.weight10 * mask * grad[j];
    grad_value[c.at11 + j] += c.weight11 * mask * grad[j];
  }
  return p;
}

/// One group of one picture: its slice of grad_value belongs to nobody else.
template <class T, int64_t kChannels, int64_t kBytes>
HQTRACK_INLINE void backward_group(const BackwardArguments<T>& a, int64_t picture, int64_t group) {
  const Dcnv3Geometry& g = a.geometry;
  const int64_t channels = g.channels(), K = g.points(), c = kChannels ? kChannels : g.group_channels;
  const auto scale = static_cast<T>(g.options.offset_scale);
  const T* value = a.value + picture * g.height * g.width * channels + group * c;
  T* grad_value = a.grad_value + (value - a.value);
  PointFinder<T> points(g, 1);
  const auto &x = points.x, &y = points.y;
  for (int64_t row = 0; row < g.height_out; ++row) {
    for (int64_t column = 0; column < g.width_out; ++column) {
      const int64_t pixel = (picture * g.height_out + row) * g.width_out + column;
      const int64_t first = (pixel * g.options.groups + group) * K;
      points.find(a.offset + first * 2, row, column);
      const T* grad = a.grad_output + pixel * channels + group * c;
      for (int64_t n = 0; n < K; ++n) {
        const T mask = a.mask[first + n];
        const Corners<T> corners(points, n, channels);
        CornerProducts<T> p;
        if constexpr (kChannels > 0) {
          p = visit_corners<T, kChannels, kBytes>(grad, value, grad_value, corners, mask);
        } else {
          p = visit_corners_of_any_size<T>(grad, value, grad_value, corners, mask, c);
        }
        const T upper = x.weight0[n] * p.at00 + x.weight1[n] * p.at01;
        const T lower = x.weight0[n] * p.at10 + x.weight1[n] * p.at11;
        const T left = y.weight0[n] * p.at00 + y.weight1[n] * p.at10;
        const T right = y.weight0[n] * p.at01 + y.weight1[n] * p.at11;
        a.grad_mask[first + n] = y.weight0[n] * upper + y.weight1[n] * lower;
        a.grad_offset[(first + n) * 2] = mask * scale * (x.slope0[n] * left + x.slope1[n] * right);
        a.grad_offset[(first + n) * 2 + 1] = mask * scale * (y.slope0[n] * upper + y.slope1[n] * lower);
      }
    }
  }
}

template <class T, int64_t kChannels>
void backward_plain(const BackwardArguments<T>& a, int64_t picture, int64_t group) {
  backward_group<T, kChannels, 16>(a, picture, group);
}
template <class T, int64_t kChannels>
HQTRACK_AVX2 void backward_avx2(const BackwardArguments<T>& a, int64_t picture, int64_t group) {
  backward_group<T, kChannels, 32>(a, picture, group);
}

template <class T, int64_t kChannels>
void forward(const ForwardArguments<T>& a) {
  const Dcnv3Geometry& g = a.geometry;
  const auto kernel = has_avx2() ? forward_avx2<T, kChannels> : forward_plain<T, kChannels>;
  constexpr int64_t kWork = 32768;  // of a piece, at least
  const int64_t rows = g.batch * g.height_out;
  const int64_t step =
      std::max<int64_t>(1, kWork / std::max<int64_t>(1, g.width_out * g.points() * g.channels()));
  share_out((rows + step - 1) / step,
            [&](int64_t piece) { kernel(a, piece * step, std::min(rows, (piece + 1) * step)); });
}

template <class T, int64_t kChannels>
void backward(const BackwardArguments<T>& a) {
  const auto kernel = has_avx2() ? backward_avx2<T, kChannels> : backward_plain<T, kChannels>;
  const int64_t groups = a.geometry.options.groups;
  at::parallel_for(0, a.geometry.batch * groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t slice = begin; slice < end; ++slice) kernel(a, slice / groups, slice % groups);
  });
}

}  // namespace

at::Tensor dcnv3_forward_cpu(const at::Tensor& value, const at::Tensor& offset, const at::Tensor& mask,
                             const Dcnv3Geometry& geometry) {
  auto output = at::zeros({geometry.batch, geometry.height_out, geometry.width_out, geometry.channels()},
                          value.options());
  if (output.numel() == 0 || value.numel() == 0) return output;
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "dcnv3 on the CPU", [&] {
    const ForwardArguments<scalar_t> arguments{
        value.const_data_ptr<scalar_t>(), offset.const_data_ptr<scalar_t>(), mask.const_data_ptr<scalar_t>(),
        output.mutable_data_ptr<scalar_t>(), geometry};
    geometry.group_channels == 16 ? forward<scalar_t, 16>(arguments) : forward<scalar_t, 0>(arguments);
  });
  return output;
}

Dcnv3Gradients dcnv3_backward_cpu(const at::Tensor& grad_output, const at::Tensor& value,
                                  const at::Tensor& offset, const at::Tensor& mask,
                                  const Dcnv3Geometry& geometry) {
  auto grad_value = at::zeros_like(value), grad_offset = at::zeros_like(offset),
       grad_mask = at::zeros_like(mask);
  if (grad_output.numel() == 0 || value.numel() == 0) return {grad_value, grad_offset, grad_mask};
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "dcnv3_backward on the CPU", [&] {
    const BackwardArguments<scalar_t> arguments{
        grad_output.const_data_ptr<scalar_t>(),  value.const_data_ptr<scalar_t>(),
        offset.const_data_ptr<scalar_t>(),       mask.const_data_ptr<scalar_t>(),
        grad_value.mutable_data_ptr<scalar_t>(), grad_offset.mutable_data_ptr<scalar_t>(),
        grad_mask.mutable_data_ptr<scalar_t>(),  geometry};
    geometry.group_channels == 16 ? backward<scalar_t, 16>(arguments) : backward<scalar_t, 0>(arguments);
  });
  return {grad_value, grad_offset, grad_mask};
}

}  // namespace hqtrack
