#include "core/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include "core/cpu_kernels.h"
#include "core/device.h"
#include "core/local_attention_tile.h"
#include "core/profile.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Scores held at a time by the plain tiled form, in elements.
constexpr int64_t kTileElements = 8 << 20;

double score_scale(const at::Tensor& q) { return 1.0 / std::sqrt(static_cast<double>(q.size(2))); }

at::Tensor with_unit_stride(const at::Tensor& tokens) {
  return tokens.stride(2) == 1 ? tokens : tokens.contiguous();
}

// A band of queries and the keys it may see.
struct Band {
  int64_t query_start, query_count, key_start, key_count;
  at::Tensor
      window;  // local attention: int64 [queries, keys], entry of `relative`, or the last + 1 when outside
};

// What the plain forms of both attentions share: a list of bands, and a bias looked up in `relative`.
std::vector<Band> global_bands(const at::Tensor& q, const at::Tensor& k) {
  const int64_t queries = q.size(1), keys = k.size(1);
  const int64_t step = std::max<int64_t>(1, kTileElements / (keys * q.size(0)));
  std::vector<Band> bands;
  for (int64_t start = 0; start < queries; start += step) {
    bands.push_back({start, std::min(step, queries - start), 0, keys, {}});
  }
  return bands;
}

std::vector<Band> local_bands(const at::Tensor& q, GridSize grid, int64_t radius) {
  const int64_t rows_per_band = std::clamp<int64_t>(
      kTileElements / (q.size(0) * grid.width * grid.width * (4 * radius + 1)), 1, 2 * radius + 1);
  const int64_t side = 2 * radius + 1;
  std::vector<Band> bands;
  for (int64_t y = 0; y < grid.height; y += rows_per_band) {
    const int64_t rows = std::min(rows_per_band, grid.height - y);
    const int64_t key_y = std::max<int64_t>(0, y - radius);
    const int64_t key_rows = std::min(grid.height, y + rows + radius) - key_y;
    const auto options = q.options().dtype(at::kLong);
    const at::Tensor x = at::arange(grid.width, options);
    // [rows, width, key_rows, width]
    const at::Tensor dy = at::arange(key_y, key_y + key_rows, options).view({1, 1, -1, 1}) -
                          at::arange(y, y + rows, options).view({-1, 1, 1, 1});
    const at::Tensor dx = x.view({1, 1, 1, -1}) - x.view({1, -1, 1, 1});
    const at::Tensor inside = (dy.abs() <= radius).logical_and(dx.abs() <= radius);
    const at::Tensor entry = (dy + radius) * side + dx + radius;
    bands.push_back({y * grid.width, rows * grid.width, key_y * grid.width, key_rows * grid.width,
                     entry.where(inside, at::full({}, side * side, options))
                         .view({rows * grid.width, key_rows * grid.width})});
  }
  return bands;
}

// `relative` with a last entry of -inf, for the cells outside the window.
at::Tensor with_outside(const at::Tensor& relative) {
  return relative.defined() ? at::constant_pad_nd(relative, {0, 1}, -std::numeric_limits<double>::infinity())
                            : at::Tensor();
}

at::Tensor band_probabilities(const Band& band, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& relative, double scale) {
  at::Tensor scores = at::bmm(q.narrow(1, band.query_start, band.query_count) * scale,
                              k.narrow(1, band.key_start, band.key_count).transpose(1, 2));
  if (relative.defined()) {
    scores += relative.narrow(1, band.query_start, band.query_count)
                  .gather(2, band.window.unsqueeze(0).expand({q.size(0), -1, -1}));
  }
  return at::softmax(scores, -1);
}

// Scores are of the queries' type, so that the softmax sees all bits; probabilities and values are rounded.
at::Tensor attend_bands(const std::vector<Band>& bands, const at::Tensor& q, const at::Tensor& k,
                        const at::Tensor& v, const at::Tensor& relative, double scale,
                        Precision precision = Precision::kFloat32) {
  at::Tensor out = at::empty({q.size(0), q.size(1), v.size(2)}, v.options());
  const at::Tensor padded = with_outside(relative);
  const at::ScalarType type = precision == Precision::kFloat32 ? v.scalar_type() : type_of(precision);
  const at::Tensor values = v.to(type);
  for (const Band& band : bands) {
    out.narrow(1, band.query_start, band.query_count)
        .copy_(at::bmm(band_probabilities(band, q, k, padded, scale).to(type),
                       values.narrow(1, band.key_start, band.key_count)));
  }
  return out;
}

// Gradients of q, k, v and relative.
variable_list attend_bands_backward(const std::vector<Band>& bands, const at::Tensor& q, const at::Tensor& k,
                                    const at::Tensor& v, const at::Tensor& relative, double scale,
                                    const at::Tensor& out, const at::Tensor& grad_out) {
  at::Tensor grad_q = at::empty_like(q), grad_k = at::zeros_like(k), grad_v = at::zeros_like(v),
             grad_relative;
  const at::Tensor padded = with_outside(relative);
  if (relative.defined()) grad_relative = at::zeros_like(padded);
  const at::Tensor row_sum = (out * grad_out).sum(-1, /*keepdim=*/true);  // [B, N, 1]
  for (const Band& band : bands) {
    const at::Tensor p = band_probabilities(band, q, k, padded, scale);
    const at::Tensor grad = grad_out.narrow(1, band.query_start, band.query_count);
    const at::Tensor keys = k.narrow(1, band.key_start, band.key_count);
    const at::Tensor values = v.narrow(1, band.key_start, band.key_count);
    grad_v.narrow(1, band.key_start, band.key_count) += at::bmm(p.transpose(1, 2), grad);
    const at::Tensor grad_scores =
        p * (at::bmm(grad, values.transpose(1, 2)) - row_sum.narrow(1, band.query_start, band.query_count));
    grad_q.narrow(1, band.query_start, band.query_count).copy_(at::bmm(grad_scores, keys) * scale);
    grad_k.narrow(1, band.key_start, band.key_count) +=
        at::bmm(grad_scores.transpose(1, 2), q.narrow(1, band.query_start, band.query_count)) * scale;
    if (relative.defined()) {
      // One key a window entry, so nothing is added twice but the outside entry, which is cut off below.
      grad_relative.narrow(1, band.query_start, band.query_count)
          .scatter_(2, band.window.unsqueeze(0).expand({q.size(0), -1, -1}), grad_scores);
    }
  }
  if (relative.defined()) grad_relative = grad_relative.narrow(2, 0, relative.size(2));
  return {grad_q, grad_k, grad_v, grad_relative};
}

// --- on the CPU

// Some keys and values of one sequence of a batch. They are packed first, for all of its queries.
struct Sequence {
  const CpuKernels& kernels;
  const float *k, *v;
  int64_t k_stride, v_stride;
  float *packed_k, *packed_v;
  AttentionKernel::Rows all;

  int64_t value_panels() const { return kernels.matrix.panels_of(all.value_width); }
  int64_t panels() const { return value_panels() + kernels.matrix.panels_of(all.num_keys); }
  void pack(int64_t index) const {
    if (index < value_panels()) {
      kernels.attention.pack_values(v, v_stride, all.num_keys, all.value_width, index, packed_v);
    } else {
      kernels.matrix.pack_rows(k, k_stride, all.num_keys, all.key_width, index - value_panels(), packed_k);
    }
  }
  void attend(int64_t start, int64_t count) const {
    AttentionKernel::Rows rows = all;
    rows.num_queries = count;
    rows.q += start * rows.q_stride;
    rows.out += start * rows.out_stride;
    if (rows.so_far) rows.so_far += 2 * start;
    if (rows.row_scores) {
      rows.row_scores += start * (rows.num_keys / rows.map_width);
      rows.column_scores += start * rows.map_width;
    }
    kernels.attention.attend(rows);
  }
};

// Keys that are packed together: what all queries look at in turn should stay in a cache.
int64_t keys_at_once(int64_t keys, int64_t key_width, int64_t value_width) {
  constexpr int64_t kPacked = 1 << 20, kTile = 512;  // elements; keys of one tile of scores
  return std::min(keys, std::max<int64_t>(1, kPacked / (key_width + value_width) / kTile) * kTile);
}

// rows and columns: those of attend_to_map, or undefined.
at::Tensor attend_cpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& rows,
                      const at::Tensor& columns, double scale, Precision precision) {
  constexpr int64_t kQueries = 96;  // of one piece of work
  const CpuKernels& kernels = cpu_kernels_of(precision);
  const int64_t batch = q.size(0), queries = q.size(1), keys = k.size(1), key_width = k.size(2),
                value_width = v.size(2);
  const bool has_places = rows.defined();
  const at::Tensor from_q = with_unit_stride(q), from_k = with_unit_stride(k), from_v = with_unit_stride(v);
  const at::Tensor from_rows = has_places ? rows.contiguous() : rows,
                   from_columns = has_places ? columns.contiguous() : columns;
  at::Tensor out = at::empty({batch, queries, value_width}, v.options());
  float* const target = out.mutable_data_ptr<float>();
  const int64_t pieces = (queries + kQueries - 1) / kQueries;
  const bool are_short = batch > pieces;
  const int64_t step = are_short || has_places ? keys : keys_at_once(keys, key_width, value_width);
  const int64_t packed_keys = kernels.matrix.packed_size(step, key_width);
  const int64_t packed_size = packed_keys + kernels.matrix.packed_size(value_width, step);
  const auto start_of = [](const at::Tensor& tensor, int64_t b) {
    return tensor.defined() ? tensor.const_data_ptr<float>() + b * tensor.stride(0) : nullptr;
  };
  const auto sequence = [&](int64_t b, int64_t first, float* packed, float* so_far) {
    float* const packed_v = packed + packed_keys;
    return Sequence{.kernels = kernels,
                    .k = start_of(from_k, b) + first * from_k.stride(1),
                    .v = start_of(from_v, b) + first * from_v.stride(1),
                    .k_stride = from_k.stride(1),
                    .v_stride = from_v.stride(1),
                    .packed_k = packed,
                    .packed_v = packed_v,
                    .all = {.q = start_of(from_q, b),
                            .q_stride = from_q.stride(1),
                            .num_queries = queries,
                            .num_keys = std::min(step, keys - first),
                            .key_width = key_width,
                            .value_width = value_width,
                            .keys = packed,
                            .values = packed_v,
                            .scale = static_cast<float>(scale),
                            .out = target + b * queries * value_width,
                            .out_stride = value_width,
                            .row_scores = start_of(from_rows, b),
                            .column_scores = start_of(from_columns, b),
                            .map_width = has_places ? columns.size(2) : 0,
                            .so_far = so_far,
                            .continues = first > 0}};
  };
  if (are_short) {  // each is a piece of work
    share_out(batch, [&](int64_t b) {
      thread_local std::vector<float> packed;
      packed.resize(std::max<size_t>(packed.size(), packed_size));
      const Sequence own = sequence(b, 0, packed.data(), nullptr);
      for (int64_t index = 0; index < own.panels(); ++index) own.pack(index);
      own.attend(0, queries);
    });
    return out;
  }
  const at::Tensor packed = at::empty({packed_size}, k.options());
  std::vector<float> so_far(step < keys ? 2 * queries : 0);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t first = 0; first < keys; first += step) {
      const Sequence shared =
          sequence(b, first, packed.mutable_data_ptr<float>(), so_far.empty() ? nullptr : so_far.data());
      share_out(shared.panels(), [&](int64_t index) { shared.pack(index); });
      share_out(pieces, [&](int64_t index) {
        shared.attend(index * kQueries, std::min(kQueries, queries - index * kQueries));
      });
    }
  }
  return out;
}

at::Tensor attend_locally_cpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& relative, GridSize grid, int64_t radius,
                              Precision precision) {
  constexpr int64_t kRows = 6, kColumns = 8;  // queries that share the cells around them
  const AttentionKernel& kernel = cpu_kernels_of(precision).attention;
  const at::Tensor rows_q = with_unit_stride(q), rows_k = with_unit_stride(k), rows_v = with_unit_stride(v);
  const at::Tensor bias = relative.contiguous();
  at::Tensor out = at::empty({q.size(0), q.size(1), v.size(2)}, v.options());
  const int64_t bands = (grid.height + kRows - 1) / kRows;
  float* const target = out.mutable_data_ptr<float>();
  share_out(q.size(0) * bands, [&](int64_t index) {
    thread_local std::vector<float> scratch;
    const int64_t b = index / bands, y = index % bands * kRows;
    AttentionKernel::Window window{.q = rows_q.const_data_ptr<float>() + b * rows_q.stride(0),
                                   .k = rows_k.const_data_ptr<float>() + b * rows_k.stride(0),
                                   .v = rows_v.const_data_ptr<float>() + b * rows_v.stride(0),
                                   .relative = bias.const_data_ptr<float>() + b * bias.stride(0),
                                   .q_stride = rows_q.stride(1),
                                   .k_stride = rows_k.stride(1),
                                   .v_stride = rows_v.stride(1),
                                   .height = grid.height,
                                   .width = grid.width,
                                   .radius = radius,
                                   .y = y,
                                   .x = 0,
                                   .num_rows = kRows,
                                   .num_columns = kColumns,
                                   .key_width = k.size(2),
                                   .value_width = v.size(2),
                                   .scale = static_cast<float>(score_scale(q)),
                                   .out = target + b * out.stride(0),
                                   .scratch = nullptr};
    scratch.resize(std::max<size_t>(scratch.size(), kernel.window_scratch(window)));
    window.scratch = scratch.data();
    window.num_rows = std::min(kRows, grid.height - y);
    for (; window.x < grid.width; window.x += kColumns) {
      window.num_columns = std::min(kColumns, grid.width - window.x);
      kernel.attend_window(window);
    }
  });
  return out;
}

// --- autograd

struct AttendFunction : torch::autograd::Function<AttendFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, double scale) {
    const at::Tensor out = attend_bands(global_bands(q, k), q, k, v, {}, scale);
    context->save_for_backward({q, k, v, out});
    context->saved_data["scale"] = scale;
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    // The gradient of `relative`, which is none, stands for that of the scale.
    return attend_bands_backward(global_bands(saved[0], saved[1]), saved[0], saved[1], saved[2], {},
                                 context->saved_data["scale"].toDouble(), saved[3], grads[0]);
  }
};

struct AttendLocallyFunction : torch::autograd::Function<AttendLocallyFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor& relative, int64_t height, int64_t width,
                            int64_t radius) {
    const at::Tensor out =
        attend_bands(local_bands(q, {height, width}, radius), q, k, v, relative, score_scale(q));
    context->save_for_backward({q, k, v, relative, out});
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    context->saved_data["radius"] = radius;
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const GridSize grid{context->saved_data["height"].toInt(), context->saved_data["width"].toInt()};
    auto result =
        attend_bands_backward(local_bands(saved[0], grid, context->saved_data["radius"].toInt()), saved[0],
                              saved[1], saved[2], saved[3], score_scale(saved[0]), saved[4], grads[0]);
    result.insert(result.end(), 3, at::Tensor());
    return result;
  }
};

// `pairs` of a query and a key.
void count_attention(const at::Tensor& q, int64_t pairs, const at::Tensor& v) {
  count_flops(2 * q.size(0) * pairs * (q.size(2) + v.size(2)));
}

// Pairs of cells of a line of `length` cells that are at most `radius` apart.
int64_t pairs_on_edge(int64_t length, int64_t radius) {
  const int64_t reach = std::min(radius, length - 1);
  return length * (2 * reach + 1) - reach * (reach + 1);
}

void check_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TORCH_CHECK(q.dim() == 3 && k.dim() == 3 && v.dim() == 3,
              "attention: expected [B, tokens, channels], found ", q.sizes(), ", ", k.sizes(), ", ",
              v.sizes());
  TORCH_CHECK(q.size(0) == k.size(0) && k.size(0) == v.size(0) && q.size(2) == k.size(2) &&
                  k.size(1) == v.size(1) && k.size(1) > 0,
              "attention: queries ", q.sizes(), ", keys ", k.sizes(), " and values ", v.sizes(),
              " do not fit");
}

}  // namespace

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Precision precision,
                  std::optional<double> scale) {
  check_attention(q, k, v);
  const double factor = scale.value_or(score_scale(q));
  count_attention(q, k.size(1) * q.size(1), v);
  if (needs_grad({q, k, v})) return AttendFunction::apply(q, k, v, factor);
  return fits_cpu_kernels(q) ? attend_cpu(q, k, v, {}, {}, factor, precision)
                             : attend_bands(global_bands(q, k), q, k, v, {}, factor, precision);
}

at::Tensor attend_to_map(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const at::Tensor& rows, const at::Tensor& columns, double scale,
                         Precision precision) {
  check_attention(q, k, v);
  TORCH_CHECK(rows.dim() == 3 && columns.dim() == 3 && rows.sizes().slice(0, 2) == q.sizes().slice(0, 2) &&
                  columns.sizes().slice(0, 2) == q.sizes().slice(0, 2) &&
                  rows.size(2) * columns.size(2) == k.size(1),
              "attention to a map: rows ", rows.sizes(), " and columns ", columns.sizes(),
              " do not fit queries ", q.sizes(), " and keys ", k.sizes());
  if (fits_cpu_kernels(q) && !needs_grad({q, k, v, rows, columns})) {
    count_attention(q, k.size(1) * q.size(1), v);
    return attend_cpu(q, k, v, rows, columns, scale, precision);
  }
  // As channels: a key's are 1 for its own row and its own column, so that the product picks their scores.
  const int64_t batch = k.size(0), height = rows.size(2), width = columns.size(2);
  const auto places = [&](const at::Tensor& one_hot) {
    return one_hot.expand({batch, height, width, -1}).flatten(1, 2);
  };
  const at::Tensor row = at::eye(height, k.options()).view({1, height, 1, height}),
                   column = at::eye(width, k.options()).view({1, 1, width, width});
  return attend(at::cat({q, rows, columns}, 2), at::cat({k, places(row), places(column)}, 2), v, precision,
                scale);
}

at::Tensor attend_locally(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& relative, GridSize grid, int64_t radius, Precision precision) {
  check_attention(q, k, v);
  const int64_t side = 2 * radius + 1;
  TORCH_CHECK(q.size(1) == grid.area() && k.size(1) == grid.area(), "local attention: expected ", grid.area(),
              " tokens for a grid of ", grid.height, " x ", grid.width, ", found ", q.size(1), " and ",
              k.size(1));
  TORCH_CHECK(relative.dim() == 3 && relative.size(0) == q.size(0) && relative.size(1) == q.size(1) &&
                  relative.size(2) == side * side,
              "local attention: expected relative [", q.size(0), ", ", q.size(1), ", ", side * side,
              "], found ", relative.sizes());
  count_attention(q, pairs_on_edge(grid.height, radius) * pairs_on_edge(grid.width, radius), v);
  if (needs_grad({q, k, v, relative})) {
    return AttendLocallyFunction::apply(q, k, v, relative, grid.height, grid.width, radius);
  }
  if (fits_cpu_kernels(q)) return attend_locally_cpu(q, k, v, relative, grid, radius, precision);
#ifdef HQTRACK_WITH_CUDA
  if (q.is_cuda() && q.scalar_type() == at::kFloat && fits_local_attention_tile(grid, radius, q.size(2))) {
    return attend_locally_cuda(with_unit_stride(q), with_unit_stride(k), with_unit_stride(v),
                               relative.contiguous(), grid, radius, score_scale(q));
  }
#endif
  return attend_bands(local_bands(q, grid, radius), q, k, v, relative, score_scale(q));
}

}  // namespace hqtrack
