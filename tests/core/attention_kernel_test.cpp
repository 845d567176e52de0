#include "core/cpu_kernels.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace hqtrack {
namespace {

// row_scores and column_scores: of keys that are the cells of a map, or undefined.
at::Tensor attend(const CpuKernels& kernels, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const at::Tensor& row_scores = {}, const at::Tensor& column_scores = {}) {
  const int64_t queries = q.size(0), keys = k.size(0), key_width = k.size(1), value_width = v.size(1);
  const int64_t key_panels = kernels.matrix.panels_of(keys);
  const int64_t value_panels = kernels.matrix.panels_of(value_width);
  // What a kernel reads or leaves out by mistake shows.
  const double nan = std::numeric_limits<double>::quiet_NaN();
  at::Tensor packed_keys = at::full({kernels.matrix.packed_size(keys, key_width)}, nan, at::kFloat);
  at::Tensor packed_values = at::full({kernels.matrix.packed_size(value_width, keys)}, nan, at::kFloat);
  at::Tensor out = at::full({queries, value_width + 3}, nan, at::kFloat);
  for (int64_t i = 0; i < key_panels; ++i) {
    kernels.matrix.pack_rows(k.const_data_ptr<float>(), key_width, keys, key_width, i,
                             packed_keys.mutable_data_ptr<float>());
  }
  for (int64_t i = 0; i < value_panels; ++i) {
    kernels.attention.pack_values(v.const_data_ptr<float>(), value_width, keys, value_width, i,
                                  packed_values.mutable_data_ptr<float>());
  }
  kernels.attention.attend(
      {.q = q.const_data_ptr<float>(),
       .q_stride = key_width,
       .num_queries = queries,
       .num_keys = keys,
       .key_width = key_width,
       .value_width = value_width,
       .keys = packed_keys.const_data_ptr<float>(),
       .values = packed_values.const_data_ptr<float>(),
       .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(key_width))),
       .out = out.mutable_data_ptr<float>(),
       .out_stride = out.stride(0),
       .row_scores = row_scores.defined() ? row_scores.const_data_ptr<float>() : nullptr,
       .column_scores = column_scores.defined() ? column_scores.const_data_ptr<float>() : nullptr,
       .map_width = column_scores.defined() ? column_scores.size(1) : 0});
  EXPECT_TRUE(out.narrow(1, value_width, 3).isnan().all().item<bool>()) << "written behind a row";
  return out.narrow(1, 0, value_width);
}

struct Map {
  int64_t height, width, radius, key_width, value_width, rows, columns;
};

at::Tensor attend_windows(const AttentionKernel& kernel, const Map& map, const at::Tensor& q,
                          const at::Tensor& k, const at::Tensor& v, const at::Tensor& relative) {
  at::Tensor out = at::full({map.height * map.width, map.value_width},
                            std::numeric_limits<double>::quiet_NaN(), at::kFloat);
  AttentionKernel::Window window{
      .q = q.const_data_ptr<float>(),
      .k = k.const_data_ptr<float>(),
      .v = v.const_data_ptr<float>(),
      .relative = relative.const_data_ptr<float>(),
      .q_stride = map.key_width,
      .k_stride = map.key_width,
      .v_stride = map.value_width,
      .height = map.height,
      .width = map.width,
      .radius = map.radius,
      .y = 0,
      .x = 0,
      .num_rows = map.rows,
      .num_columns = map.columns,
      .key_width = map.key_width,
      .value_width = map.value_width,
      .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(map.key_width))),
      .out = out.mutable_data_ptr<float>(),
      .scratch = nullptr};
  std::vector<float> scratch(kernel.window_scratch(window), std::numeric_limits<float>::quiet_NaN());
  window.scratch = scratch.data();
  for (window.y = 0; window.y < map.height; window.y += map.rows) {
    window.num_rows = std::min(map.rows, map.height - window.y);
    for (window.x = 0; window.x < map.width; window.x += map.columns) {
      window.num_columns = std::min(map.columns, map.width - window.x);
      kernel.attend_window(window);
    }
  }
  return out;
}

// The formula with every score, in double: cells outside a window have -inf.
at::Tensor plain_windows(const Map& map, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const at::Tensor& relative) {
  const int64_t cells = map.height * map.width, side = 2 * map.radius + 1;
  at::Tensor bias = at::full({cells, cells}, -std::numeric_limits<double>::infinity(), at::kDouble);
  for (int64_t a = 0; a < cells; ++a) {
    for (int64_t b = 0; b < cells; ++b) {
      const int64_t dy = b / map.width - a / map.width + map.radius,
                    dx = b % map.width - a % map.width + map.radius;
      if (dy >= 0 && dy < side && dx >= 0 && dx < side) bias[a][b] = relative[a][dy * side + dx];
    }
  }
  return at::softmax(at::mm(q, k.t()) / std::sqrt(static_cast<double>(map.key_width)) + bias, -1).mm(v);
}

double largest_difference(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor difference = (found.to(at::kDouble) - expected).abs().max();
  return difference.item<double>();
}

// Every kernel this machine can run, not only the one it would choose. For bfloat16 the operands are numbers
// that it can hold, so that only softmax's results are rounded, by a factor of 1 +- 2^-9 at most.
class AttentionKernelTest : public ::testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    if (kernels().empty()) GTEST_SKIP() << "skipped: this CPU has no bfloat16 dot products";
  }
  static std::vector<const CpuKernels*> kernels() {
    if (GetParam() == Precision::kFloat32) return cpu_kernels();
    return bf16_cpu_kernels() ? std::vector{bf16_cpu_kernels()} : std::vector<const CpuKernels*>{};
  }
  static at::Tensor random(int64_t rows, int64_t columns) {
    return rounded(at::randn({rows, columns}, at::kDouble) * 1.5);
  }
  static at::Tensor rounded(const at::Tensor& tensor) {
    return GetParam() == Precision::kFloat32 ? tensor : tensor.to(at::kBFloat16).to(tensor.scalar_type());
  }
  static double tolerance(const at::Tensor& v) {
    return GetParam() == Precision::kFloat32 ? 2e-5 : v.abs().max().item<double>() / 256;
  }
};

INSTANTIATE_TEST_SUITE_P(AttentionKernel, AttentionKernelTest,
                         ::testing::Values(Precision::kFloat32, Precision::kBFloat16),
                         [](const auto& precision) {
                           return precision.param == Precision::kFloat32 ? "Float32" : "BFloat16";
                         });

TEST_P(AttentionKernelTest, EqualsThePlainFormulaOverOddSizes) {
  for (const CpuKernels* kernels : kernels()) {
    for (const auto& [queries, keys, key_width, value_width] : {std::array<int64_t, 4>{1, 1, 1, 1},
                                                                {5, 3, 7, 33},
                                                                {97, 257, 48, 96},
                                                                {49, 700, 64, 31},
                                                                {130, 512, 65, 192}}) {
      const at::Tensor q = random(queries, key_width), k = random(keys, key_width),
                       v = random(keys, value_width);
      const at::Tensor expected =
          at::softmax(at::mm(q, k.t()) / std::sqrt(static_cast<double>(key_width)), -1).mm(v);
      const at::Tensor found = attend(*kernels, q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat));
      EXPECT_LT(largest_difference(found, expected), tolerance(v))
          << "panel " << kernels->matrix.panel << ", " << queries << " queries, " << keys << " keys";
    }
  }
}

TEST_P(AttentionKernelTest, AddsTheScoresOfRowsAndColumns) {
  for (const CpuKernels* kernels : kernels()) {
    for (const auto& [height, width] : {std::array<int64_t, 2>{1, 1}, {3, 5}, {2, 300}, {65, 33}}) {
      const at::Tensor q = random(43, 16), k = random(height * width, 16), v = random(height * width, 9);
      const at::Tensor rows = random(43, height), columns = random(43, width);
      const at::Tensor places = (rows.unsqueeze(2) + columns.unsqueeze(1)).flatten(1);
      const at::Tensor expected = at::softmax((at::mm(q, k.t()) + places) / 4, -1).mm(v);
      const at::Tensor found = attend(*kernels, q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat),
                                      rows.to(at::kFloat), columns.to(at::kFloat));
      EXPECT_LT(largest_difference(found, expected), tolerance(v))
          << "panel " << kernels->matrix.panel << ", map " << height << " x " << width;
    }
  }
}

TEST_P(AttentionKernelTest, LocalWindowsEqualThePlainFormula) {
  for (const CpuKernels* kernels : kernels()) {
    const AttentionKernel* kernel = &kernels->attention;
    for (const Map& map : {Map{1, 1, 7, 4, 5, 3, 16}, Map{9, 21, 2, 17, 40, 3, 16},
                           Map{17, 5, 7, 48, 33, 3, 16}, Map{6, 34, 3, 8, 96, 4, 7}}) {
      const int64_t cells = map.height * map.width, side = 2 * map.radius + 1;
      const at::Tensor q = random(cells, map.key_width), k = random(cells, map.key_width);
      const at::Tensor v = random(cells, map.value_width), relative = random(cells, side * side);
      const at::Tensor found = attend_windows(*kernel, map, q.to(at::kFloat), k.to(at::kFloat),
                                              v.to(at::kFloat), relative.to(at::kFloat));
      EXPECT_LT(largest_difference(found, plain_windows(map, q, k, v, relative)), tolerance(v))
          << "panel " << kernels->matrix.panel << ", map " << map.height << " x " << map.width;
    }
  }
}

// A row's maximum may come with its last key, and scores may be far from what an exponential can hold.
TEST_P(AttentionKernelTest, KeepsTheMaximumOfARowThroughAllTiles) {
  for (const CpuKernels* kernels : kernels()) {
    const at::Tensor q = at::full({3, 4}, 10.0, at::kFloat);
    const at::Tensor v = rounded(at::arange(600, at::kFloat).unsqueeze(1));
    const at::Tensor k = v.expand({600, 4}).contiguous();
    EXPECT_LT(largest_difference(attend(*kernels, q, k, v), v[599].expand({3, 1}).to(at::kDouble)), 1e-3);
    EXPECT_LT(largest_difference(attend(*kernels, -q, k, v), at::zeros({3, 1}, at::kDouble)), 1e-3);
  }
}

}  // namespace
}  // namespace hqtrack
