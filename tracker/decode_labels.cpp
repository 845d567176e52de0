#include "tracker/decode_labels.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/log.h>
#include <ATen/ops/max.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "tracker/decode_labels_cpu.h"
#include "tracker/linear_taps.h"

namespace hqtrack {
namespace {

// Rows first .. first + count - 1 of a map that is enlarged to `size`.
at::Tensor enlarged_rows(const at::Tensor& map, GridSize size, int64_t first, int64_t count) {
  const std::vector<LinearTap> taps = linear_taps(map.size(2), size.height);
  const at::Tensor low = at::empty({count}, at::kLong), high = at::empty({count}, at::kLong),
                   weight = at::empty({count, 1}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    const LinearTap& tap = taps[first + i];
    low.mutable_data_ptr<int64_t>()[i] = tap.low;
    high.mutable_data_ptr<int64_t>()[i] = tap.high;
    weight.mutable_data_ptr<float>()[i] = tap.weight;
  }
  const auto rows = [&](const at::Tensor& index) { return map.index_select(2, index.to(map.device())); };
  return resize_bilinear(at::lerp(rows(low), rows(high), weight.to(map.options())), {count, size.width});
}

// Soft aggregation of logits [1, 1 + objects, h, w] of several engines.
at::Tensor merge_engines(const std::vector<at::Tensor>& logits, int64_t objects_per_engine) {
  at::Tensor background;
  std::vector<at::Tensor> parts(1);
  for (const at::Tensor& engine : logits) {
    const at::Tensor probability = at::softmax(engine, 1);
    const at::Tensor own_background = probability.narrow(1, 0, 1);
    background = background.defined() ? background * own_background : own_background;
    const int64_t objects = engine.size(1) - 1;
    parts.push_back(at::constant_pad_nd(probability.narrow(1, 1, objects),
                                        {0, 0, 0, 0, 0, objects_per_engine - objects}));
  }
  parts[0] = background;
  const at::Tensor merged = at::cat(parts, 1).clamp(kSmallestMerged, 1 - kSmallestMerged);
  return at::log(merged / (1 - merged));
}

// By bands of rows: of all slots at once the maps of a large frame would be gigabytes.
DecodedLabels decode_in_bands(const std::vector<at::Tensor>& logits, GridSize size,
                              int64_t objects_per_engine, const at::Tensor& slots) {
  constexpr int64_t kBandElements = 4 << 20;
  const auto engines = static_cast<int64_t>(logits.size());
  const int64_t channels = engines == 1 ? logits[0].size(1) : 1 + engines * objects_per_engine;
  const int64_t band = std::max<int64_t>(1, kBandElements / (channels * size.width));
  at::Tensor sums = at::zeros({channels}, logits[0].options().dtype(at::kDouble));
  at::Tensor counts = at::zeros_like(sums);
  for (int64_t first = 0; first < size.height; first += band) {
    const int64_t count = std::min(band, size.height - first);
    std::vector<at::Tensor> wide;
    for (const at::Tensor& engine : logits) wide.push_back(enlarged_rows(engine, size, first, count));
    const at::Tensor merged = engines == 1 ? wide[0] : merge_engines(wide, objects_per_engine);
    const auto [probability, index] = at::max(at::softmax(merged[0], 0), 0);
    const at::Tensor flat_index = index.flatten(), flat = probability.flatten().to(at::kDouble);
    sums.index_add_(0, flat_index, flat);
    counts.index_add_(0, flat_index, at::ones_like(flat));
    slots.narrow(0, first, count).copy_(index);
  }
  const at::Tensor means = (sums / counts.clamp_min(1)).cpu();
  DecodedLabels decoded{
      slots, std::vector<double>(means.const_data_ptr<double>(), means.const_data_ptr<double>() + channels)};
  decoded.mean_score[0] = 0.0;
  return decoded;
}

}  // namespace

at::Tensor merge_logits(const std::vector<at::Tensor>& logits, GridSize size, int64_t objects_per_engine) {
  if (logits.size() == 1) return resize_bilinear(logits[0], size);
  std::vector<at::Tensor> wide;
  for (const at::Tensor& engine : logits) wide.push_back(resize_bilinear(engine, size));
  return merge_engines(wide, objects_per_engine);
}

DecodedLabels decode_labels(const std::vector<at::Tensor>& logits, GridSize size, int64_t objects_per_engine,
                            at::Tensor slots) {
  if (!slots.defined()) slots = at::empty({size.height, size.width}, at::kByte);
  TORCH_CHECK(slots.size(0) == size.height && slots.size(1) == size.width && slots.stride(1) == 1,
              "labels: expected ", size.height, " x ", size.width, " in whole rows, found ", slots.sizes());
  if (logits[0].device().is_cpu() && logits[0].scalar_type() == at::kFloat) {
    return decode_labels_cpu(logits, size, objects_per_engine, slots);
  }
  return decode_in_bands(logits, size, objects_per_engine, slots);
}

}  // namespace hqtrack
