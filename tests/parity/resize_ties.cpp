#include "tests/parity/resize_ties.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace hqtrack::parity {
namespace {

// [out, in] matrix of the cubic kernel with a = -0.75 and a replicated border.
at::Tensor cubic_matrix(int64_t in, int64_t out) {
  at::Tensor matrix = at::zeros({out, in}, at::kDouble);
  auto weights = matrix.accessor<double, 2>();
  constexpr double a = -0.75;
  for (int64_t i = 0; i < out; ++i) {
    const double position =
        (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
    const int64_t base = static_cast<int64_t>(std::floor(position));
    for (int64_t tap = base - 1; tap <= base + 2; ++tap) {
      const double x = std::abs(position - static_cast<double>(tap));
      const double weight =
          x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
      weights[i][std::clamp<int64_t>(tap, 0, in - 1)] += weight;
    }
  }
  return matrix;
}

}  // namespace

std::vector<Tie> resize_ties(const at::Tensor& image, GridSize size) {
  const at::Tensor rows = cubic_matrix(image.size(0), size.height),
                   columns = cubic_matrix(image.size(1), size.width);
  const at::Tensor planes = image.permute({2, 0, 1}).to(at::kDouble);
  const at::Tensor exact = at::matmul(at::matmul(rows, planes), columns.t());  // [3, H, W]
  const at::Tensor low = exact.floor();
  const at::Tensor is_tie = (exact - low - 0.5).abs() < 8e-5;
  std::vector<Tie> ties;
  const at::Tensor places = is_tie.nonzero();
  for (int64_t i = 0; i < places.size(0); ++i) {
    const int64_t c = places[i][0].item<int64_t>(), y = places[i][1].item<int64_t>(),
                  x = places[i][2].item<int64_t>();
    ties.push_back({y, x, c, static_cast<uint8_t>(low[c][y][x].item<double>())});
  }
  return ties;
}

}  // namespace hqtrack::parity
