#include "selector/mask_iou.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ne.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace hqtrack {
namespace {

constexpr double kEps = 1e-6;

// uint8 [H, W], 0 or 1.
at::Tensor as_bytes(const at::Tensor& mask) {
  TORCH_CHECK(mask.dim() == 2 && mask.device().is_cpu(), "mask: expected [H, W] on the CPU, found ",
              mask.toString(), " ", mask.sizes());
  return (mask.scalar_type() == at::kBool ? mask : mask.ne(0)).contiguous().view(at::kByte);
}

struct Counts {
  int64_t intersection = 0, either = 0;  // pixels in both masks, pixels in at least one
};

Counts count(const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(a.sizes() == b.sizes(), "masks: expected one size, found ", a.sizes(), " and ", b.sizes());
  const at::Tensor bytes_a = as_bytes(a), bytes_b = as_bytes(b);
  const uint8_t *in_a = bytes_a.const_data_ptr<uint8_t>(), *in_b = bytes_b.const_data_ptr<uint8_t>();
  Counts counts;
  for (int64_t i = 0; i < a.numel(); ++i) {
    counts.intersection += in_a[i] & in_b[i];
    counts.either += in_a[i] | in_b[i];
  }
  return counts;
}

// Keeps what has `radius` neighbours inside on both sides, in each of `width` lines that lie side by side.
void erode_lines(uint8_t* pixels, int64_t length, int64_t width, int64_t stride, int64_t step,
                 int64_t radius) {
  std::vector<int64_t> run(width, 0);  // pixels inside that end here
  for (int64_t i = 0; i < length + radius; ++i) {
    for (int64_t line = 0; line < width; ++line) {
      uint8_t* const pixel = pixels + line * step;
      run[line] = i < length && pixel[i * stride] ? run[line] + 1 : 0;
      if (i >= radius) pixel[(i - radius) * stride] = run[line] > 2 * radius;
    }
  }
}

}  // namespace

double mask_iou(const at::Tensor& a, const at::Tensor& b) {
  const Counts counts = count(a, b);
  return (static_cast<double>(counts.intersection) + kEps) / (static_cast<double>(counts.either) + kEps);
}

at::Tensor mask_boundary(const at::Tensor& mask, int64_t width_px) {
  const at::Tensor whole = as_bytes(mask);
  at::Tensor inner = whole.clone();
  const int64_t height = inner.size(0), width = inner.size(1);
  uint8_t* const pixels = inner.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < height; ++y) erode_lines(pixels + y * width, width, 1, 1, 0, width_px);
  erode_lines(pixels, height, width, width, 1, width_px);
  return whole - inner;
}

int64_t boundary_width_px(int64_t height, int64_t width) {
  const double diagonal = std::sqrt(static_cast<double>(height * height + width * width));
  return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(0.02 * diagonal)));
}

double boundary_iou(const at::Tensor& a, const at::Tensor& b) {
  const int64_t width_px = boundary_width_px(a.size(0), a.size(1));
  const Counts counts = count(mask_boundary(a, width_px), mask_boundary(b, width_px));
  return counts.either == 0 ? 1.0
                            : static_cast<double>(counts.intersection) / static_cast<double>(counts.either);
}

}  // namespace hqtrack
