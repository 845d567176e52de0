#include "core/grouped_attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "core/attention.h"
#include "core/cpu_kernels.h"
#include "core/device.h"
#include "core/profile.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

// Rows of a matrix; `stride` in elements.
struct RowsView {
  const float* data;
  int64_t stride, width;
  const float* row(int64_t index) const { return data + index * stride; }
};

RowsView view_of(const at::Tensor& rows) {
  return {rows.const_data_ptr<float>(), rows.stride(0), rows.size(1)};
}

int64_t groups_of(int64_t count, int64_t group) { return (count + group - 1) / group; }

float dot(const float* a, const float* b, int64_t width) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < width; ++c) sum += a[c] * b[c];
  return sum;
}

// The direction in which rows vary most, nearly: some steps of the power iteration, over a sample.
std::vector<float> main_direction(const RowsView& rows, const int64_t* order, int64_t count) {
  constexpr int64_t kSample = 32, kSteps = 3;
  const int64_t width = rows.width, step = std::max<int64_t>(1, count / kSample);
  const auto num_samples = static_cast<float>(groups_of(count, step));
  std::vector<float> mean(width), direction(width), next(width), centred(width);
  for (int64_t i = 0; i < count; i += step) {
    const float* const row = rows.row(order[i]);
    for (int64_t c = 0; c < width; ++c) mean[c] += row[c] / num_samples;
  }
  const auto centre = [&](int64_t i) {
    const float* const row = rows.row(order[i]);
    for (int64_t c = 0; c < width; ++c) centred[c] = row[c] - mean[c];
  };
  for (int64_t i = 0; i < count; i += step) {
    centre(i);
    for (int64_t c = 0; c < width; ++c) direction[c] += centred[c] * centred[c];
  }
  for (int64_t n = 0; n < kSteps; ++n) {
    std::fill(next.begin(), next.end(), 0.0f);
    for (int64_t i = 0; i < count; i += step) {
      centre(i);
      const float along = dot(centred.data(), direction.data(), width);
      for (int64_t c = 0; c < width; ++c) next[c] += along * centred[c];
    }
    const float length = std::sqrt(dot(next.data(), next.data(), width));
    if (!(length > 0.0f)) break;  // all rows are the same
    for (int64_t c = 0; c < width; ++c) direction[c] = next[c] / length;
  }
  return direction;
}

// Puts the rows of the lower half along their main direction first.
void halve(const RowsView& rows, int64_t* order, int64_t count, int64_t half) {
  const std::vector<float> direction = main_direction(rows, order, count);
  std::vector<std::pair<float, int64_t>> places(count);
  for (int64_t i = 0; i < count; ++i) {
    places[i] = {dot(rows.row(order[i]), direction.data(), rows.width), order[i]};
  }
  std::nth_element(places.begin(), places.begin() + half, places.end());
  for (int64_t i = 0; i < count; ++i) order[i] = places[i].second;
}

// Keys and values of one sequence in their groups, each group packed for itself.
class KeyGroups {
 public:
  KeyGroups(const at::Tensor& k, const at::Tensor& v, const CpuKernels& kernels, double scale)
      : kernels_(kernels),
        num_keys_(k.size(0)),
        key_width_(k.size(1)),
        value_width_(v.size(1)),
        count_(groups_of(num_keys_, kKeysOfGroup)),
        packed_keys_of_group_(kernels.matrix.packed_size(kKeysOfGroup, key_width_)),
        packed_values_of_group_(kernels.matrix.packed_size(value_width_, kKeysOfGroup)),
        keys_(at::empty({count_ * packed_keys_of_group_}, k.options())),
        values_(at::empty({count_ * packed_values_of_group_}, k.options())),
        log_counts_(count_),
        moments_(at::empty({count_, 2 * key_width_}, k.options())),
        mean_values_(at::empty({count_, value_width_}, k.options())) {
    const at::Tensor order = order_by_similarity(k, kKeysOfGroup);
    const RowsView keys = view_of(k), values = view_of(v);
    share_out(count_, [&](int64_t group) {
      fill(group, keys, values, order.const_data_ptr<int64_t>() + group * kKeysOfGroup, scale);
    });
    pack_means();
  }

  int64_t count() const { return count_; }
  int64_t key_width() const { return key_width_; }
  int64_t value_width() const { return value_width_; }
  int64_t size_of(int64_t group) const { return std::min(kKeysOfGroup, num_keys_ - group * kKeysOfGroup); }
  const float* mean_values() const { return packed_means_.const_data_ptr<float>(); }

  // The logarithm of what the keys of each group weigh together: scores [num_queries, count()].
  void score(const float* q, int64_t q_stride, int64_t num_queries, float* scores) const {
    thread_local std::vector<float> with_squares;
    with_squares.resize(num_queries * 2 * key_width_);
    for (int64_t i = 0; i < num_queries; ++i) {
      float* const row = with_squares.data() + i * 2 * key_width_;
      for (int64_t c = 0; c < key_width_; ++c) {
        row[c] = q[i * q_stride + c];
        row[key_width_ + c] = row[c] * row[c];
      }
    }
    cpu_kernels_of(Precision::kFloat32)
        .matrix.multiply({.in = with_squares.data(),
                          .weight = packed_moments_.const_data_ptr<float>(),
                          .bias = log_counts_.data(),
                          .num_rows = num_queries,
                          .depth = 2 * key_width_,
                          .width = count_,
                          .lowest = std::numeric_limits<float>::lowest(),
                          .highest = std::numeric_limits<float>::max(),
                          .out = scores,
                          .out_stride = count_});
  }

  // Keys and values of these groups, packed as those of one sequence; the last group of all comes last.
  // Returns the number of keys.
  int64_t gather(const std::vector<int64_t>& groups, std::vector<float>& keys,
                 std::vector<float>& values) const {
    const MatrixKernel& matrix = kernels_.matrix;
    const int64_t num_keys = std::accumulate(groups.begin(), groups.end(), int64_t{0},
                                             [&](int64_t sum, int64_t g) { return sum + size_of(g); });
    const auto words_of = [&](int64_t count) { return groups_of(count, matrix.depth_per_word); };
    keys.resize(groups.size() * packed_keys_of_group_);
    values.resize(matrix.packed_size(value_width_, num_keys));
    for (size_t i = 0; i < groups.size(); ++i) {
      std::memcpy(keys.data() + i * packed_keys_of_group_,
                  keys_.const_data_ptr<float>() + groups[i] * packed_keys_of_group_,
                  packed_keys_of_group_ * sizeof(float));
      const float* from = values_.const_data_ptr<float>() + groups[i] * packed_values_of_group_;
      const int64_t words = words_of(size_of(groups[i]));
      for (int64_t p = 0; p < matrix.panels_of(value_width_); ++p, from += words * matrix.panel) {
        std::memcpy(
            values.data() +
                (p * words_of(num_keys) + static_cast<int64_t>(i) * words_of(kKeysOfGroup)) * matrix.panel,
            from, words * matrix.panel * sizeof(float));
      }
    }
    return num_keys;
  }

 private:
  void fill(int64_t group, const RowsView& keys, const RowsView& values, const int64_t* order, double scale) {
    thread_local std::vector<float> own_keys, own_values;
    const int64_t size = size_of(group);
    own_keys.resize(kKeysOfGroup * key_width_);
    own_values.resize(kKeysOfGroup * value_width_);
    for (int64_t i = 0; i < size; ++i) {
      std::memcpy(own_keys.data() + i * key_width_, keys.row(order[i]), key_width_ * sizeof(float));
      std::memcpy(own_values.data() + i * value_width_, values.row(order[i]), value_width_ * sizeof(float));
    }
    const MatrixKernel& matrix = kernels_.matrix;
    for (int64_t p = 0; p < matrix.panels_of(size); ++p) {
      matrix.pack_rows(own_keys.data(), key_width_, size, key_width_, p,
                       keys_.mutable_data_ptr<float>() + group * packed_keys_of_group_);
    }
    for (int64_t p = 0; p < matrix.panels_of(value_width_); ++p) {
      kernels_.attention.pack_values(own_values.data(), value_width_, size, value_width_, p,
                                     values_.mutable_data_ptr<float>() + group * packed_values_of_group_);
    }
    float* const moments = moments_.mutable_data_ptr<float>() + group * 2 * key_width_;
    float* const mean_values = mean_values_.mutable_data_ptr<float>() + group * value_width_;
    average(own_keys.data(), size, key_width_, moments);
    average(own_values.data(), size, value_width_, mean_values);
    for (int64_t c = 0; c < key_width_; ++c) {
      float variance = 0.0f;
      for (int64_t i = 0; i < size; ++i) {
        const float difference = own_keys[i * key_width_ + c] - moments[c];
        variance += difference * difference;
      }
      moments[key_width_ + c] =
          static_cast<float>(0.5 * scale * scale * variance / static_cast<double>(size));
      moments[c] *= static_cast<float>(scale);
    }
    log_counts_[group] = std::log(static_cast<float>(size));
  }

  static void average(const float* rows, int64_t count, int64_t width, float* mean) {
    std::fill(mean, mean + width, 0.0f);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < width; ++c) mean[c] += rows[i * width + c];
    }
    for (int64_t c = 0; c < width; ++c) mean[c] /= static_cast<float>(count);
  }

  void pack_means() {
    const MatrixKernel& exact = cpu_kernels_of(Precision::kFloat32).matrix;
    packed_moments_ = at::empty({exact.packed_size(count_, 2 * key_width_)}, moments_.options());
    packed_means_ = at::empty({kernels_.matrix.packed_size(value_width_, count_)}, moments_.options());
    for (int64_t p = 0; p < exact.panels_of(count_); ++p) {
      exact.pack_rows(moments_.const_data_ptr<float>(), 2 * key_width_, count_, 2 * key_width_, p,
                      packed_moments_.mutable_data_ptr<float>());
    }
    for (int64_t p = 0; p < kernels_.matrix.panels_of(value_width_); ++p) {
      kernels_.attention.pack_values(mean_values_.const_data_ptr<float>(), value_width_, count_, value_width_,
                                     p, packed_means_.mutable_data_ptr<float>());
    }
  }

  const CpuKernels& kernels_;
  int64_t num_keys_, key_width_, value_width_, count_, packed_keys_of_group_, packed_values_of_group_;
  at::Tensor keys_, values_;       // packed, group after group
  std::vector<float> log_counts_;  // [count]
  at::Tensor moments_;             // [count, 2 key_width]: scaled mean, half of the scaled variance
  at::Tensor mean_values_;         // [count, value_width]
  at::Tensor packed_moments_, packed_means_;
};

// A group of queries, [num_queries, key_width] side by side, to `out` [num_queries, value_width].
void attend_group(const KeyGroups& keys, const CpuKernels& kernels, const float* q, int64_t num_queries,
                  int64_t num_chosen, float scale, float* out) {
  // Of exp() nothing is left, and unlike with infinity no difference is NaN.
  constexpr float kNoWeight = -1e30f;
  thread_local std::vector<float> scores, shares, chosen_keys, chosen_values;
  scores.resize(num_queries * keys.count());
  shares.assign(keys.count(), 0.0f);
  keys.score(q, keys.key_width(), num_queries, scores.data());
  kernels.attention.add_shares(scores.data(), num_queries, keys.count(), shares.data());
  std::vector<int64_t> chosen(keys.count());
  std::iota(chosen.begin(), chosen.end(), 0);
  std::nth_element(chosen.begin(), chosen.begin() + num_chosen - 1, chosen.end(), [&](int64_t a, int64_t b) {
    return shares[a] != shares[b] ? shares[a] > shares[b] : a < b;
  });
  chosen.resize(num_chosen);
  std::sort(chosen.begin(), chosen.end());
  for (int64_t i = 0; i < num_queries; ++i) {
    for (const int64_t group : chosen) scores[i * keys.count() + group] = kNoWeight;
  }
  const int64_t num_keys = keys.gather(chosen, chosen_keys, chosen_values);
  kernels.attention.attend({.q = q,
                            .q_stride = keys.key_width(),
                            .num_queries = num_queries,
                            .num_keys = num_keys,
                            .key_width = keys.key_width(),
                            .value_width = keys.value_width(),
                            .keys = chosen_keys.data(),
                            .values = chosen_values.data(),
                            .scale = scale,
                            .out = out,
                            .out_stride = keys.value_width(),
                            .scored = scores.data(),
                            .scored_values = keys.mean_values(),
                            .num_scored = keys.count()});
}

at::Tensor with_unit_stride(const at::Tensor& rows) { return rows.stride(1) == 1 ? rows : rows.contiguous(); }

// One sequence: q [N, d], k [M, d], v [M, e] -> [N, e].
at::Tensor attend_sequence(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t num_chosen,
                           Precision precision) {
  const CpuKernels& kernels = cpu_kernels_of(precision);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(1)));
  const KeyGroups keys(with_unit_stride(k), with_unit_stride(v), kernels, scale);
  const at::Tensor order = order_by_similarity(with_unit_stride(q), kQueriesOfGroup);
  const at::Tensor ordered = q.index_select(0, order);
  at::Tensor attended = at::empty({q.size(0), v.size(1)}, v.options());
  const float* const source = ordered.const_data_ptr<float>();
  float* const target = attended.mutable_data_ptr<float>();
  share_out(groups_of(q.size(0), kQueriesOfGroup), [&](int64_t index) {
    const int64_t start = index * kQueriesOfGroup, count = std::min(kQueriesOfGroup, q.size(0) - start);
    attend_group(keys, kernels, source + start * q.size(1), count, num_chosen, static_cast<float>(scale),
                 target + start * v.size(1));
  });
  return at::empty_like(attended).index_copy_(0, order, attended);
}

}  // namespace

at::Tensor order_by_similarity(const at::Tensor& rows, int64_t group) {
  TORCH_CHECK(rows.dim() == 2 && rows.stride(1) == 1 && fits_cpu_kernels(rows) && group > 0,
              "order by similarity: expected float32 rows [M, d] on the CPU, found ", rows.sizes());
  struct Range {
    int64_t start, count;
  };
  at::Tensor order = at::arange(rows.size(0), at::kLong);
  int64_t* const numbers = order.mutable_data_ptr<int64_t>();
  const RowsView view = view_of(rows);
  const auto half_of = [&](const Range& range) { return (groups_of(range.count, group) + 1) / 2 * group; };
  for (std::vector<Range> ranges = {{0, rows.size(0)}}; !ranges.empty();) {
    std::erase_if(ranges, [&](const Range& range) { return range.count <= group; });
    share_out(static_cast<int64_t>(ranges.size()), [&](int64_t i) {
      halve(view, numbers + ranges[i].start, ranges[i].count, half_of(ranges[i]));
    });
    std::vector<Range> halves;
    for (const Range& range : ranges) {
      const int64_t half = half_of(range);
      halves.push_back({range.start, half});
      halves.push_back({range.start + half, range.count - half});
    }
    ranges = std::move(halves);
  }
  return order;
}

at::Tensor attend_by_groups(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t num_exact,
                            Precision precision) {
  const int64_t groups = groups_of(k.size(1), kKeysOfGroup), chosen = groups_of(num_exact, kKeysOfGroup);
  TORCH_CHECK(num_exact >= 1, "attention by groups: expected at least 1 key, found ", num_exact);
  if (chosen >= groups || !fits_cpu_kernels(q) || needs_grad({q, k, v})) return attend(q, k, v, precision);
  // A group's score is a product over twice the width.
  count_flops(2 * q.size(0) * q.size(1) *
              (chosen * kKeysOfGroup * (k.size(2) + v.size(2)) + groups * (2 * k.size(2) + v.size(2))));
  std::vector<at::Tensor> out;
  for (int64_t b = 0; b < q.size(0); ++b) {
    out.push_back(attend_sequence(q[b], k[b], v[b], chosen, precision).unsqueeze(0));
  }
  return out.size() == 1 ? out.front() : at::cat(out);
}

}  // namespace hqtrack
