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
#include <cmath>

#include "core/threads.h"

namespace hqtrack {
namespace {

constexpr double kSmallest = 1e-5;  // of a merged probability

// Bilinear taps with align_corners = true along one axis.
struct Tap {
  int64_t low, high;
  float weight;  // of high
};

std::vector<Tap> linear_taps(int64_t in, int64_t out) {
  const float scale = out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f;
  std::vector<Tap> taps(out);
  for (int64_t i = 0; i < out; ++i) {
    const float position = scale * static_cast<float>(i);
    const int64_t low = std::min(static_cast<int64_t>(position), in - 1);
    taps[i] = {low, std::min(low + 1, in - 1), position - static_cast<float>(low)};
  }
  return taps;
}

// Label and probability of neighbouring pixels from their logits, channel by channel.
struct RowDecoder {
  std::vector<float> best, sum;
  std::vector<uint8_t> label;

  explicit RowDecoder(int64_t w) : best(w), sum(w), label(w) {}

  // logits: [channels][width]. Leaves the label and, in `best`, its probability.
  void decode(const float* logits, int64_t channels, int64_t width) {
    std::copy_n(logits, width, best.data());
    std::fill_n(label.begin(), width, 0);
    for (int64_t c = 1; c < channels; ++c) {
      const float* row = logits + c * width;
      for (int64_t x = 0; x < width; ++x) {
        const bool is_larger = row[x] > best[x];
        best[x] = is_larger ? row[x] : best[x];
        label[x] = is_larger ? static_cast<uint8_t>(c) : label[x];
      }
    }
    std::fill_n(sum.begin(), width, 0.0f);
    for (int64_t x = 0; x < width; ++x) {
      if (label[x] == 0) continue;  // the background's probability is not asked for pixel by pixel
      for (int64_t c = 0; c < channels; ++c) sum[x] += std::exp(logits[c * width + x] - best[x]);
    }
    for (int64_t x = 0; x < width; ++x) best[x] = label[x] == 0 ? 0.0f : 1.0f / sum[x];
  }
};

// Cells of the map where the background has the largest logit.
std::vector<uint8_t> background_cells(const float* logits, int64_t channels, int64_t cells) {
  std::vector<uint8_t> is_background(cells, 1);
  for (int64_t c = 1; c < channels; ++c) {
    for (int64_t i = 0; i < cells; ++i) is_background[i] &= logits[c * cells + i] <= logits[i];
  }
  return is_background;
}

DecodedLabels decode_one_engine(const at::Tensor& logits, GridSize size, const at::Tensor& slots) {
  const at::Tensor source = logits[0].contiguous();
  const int64_t channels = source.size(0), in_height = source.size(1), in_width = source.size(2);
  const std::vector<Tap> rows = linear_taps(in_height, size.height),
                         columns = linear_taps(in_width, size.width);
  DecodedLabels decoded{slots, std::vector<double>(channels)};
  // Sums of each row apart, so that the result does not depend on the number of threads.
  std::vector<double> scores(size.height * channels);
  std::vector<int64_t> counts(size.height * channels);
  const float* data = source.const_data_ptr<float>();
  const std::vector<uint8_t> background = background_cells(data, channels, in_height * in_width);
  uint8_t* labels = decoded.slots.mutable_data_ptr<uint8_t>();
  constexpr int64_t kRows = 32;  // of one piece of work
  share_out((size.height + kRows - 1) / kRows, [&](int64_t piece) {
    std::vector<float> line(channels * in_width), wide(channels * size.width);
    RowDecoder decoder(size.width);
    for (int64_t y = piece * kRows; y < std::min((piece + 1) * kRows, size.height); ++y) {
      const int64_t low = rows[y].low * in_width, high = rows[y].high * in_width;
      for (int64_t c = 0; c < channels; ++c) {
        const float* plane = data + c * in_height * in_width;
        for (int64_t x = 0; x < in_width; ++x) {
          line[c * in_width + x] = plane[low + x] * (1 - rows[y].weight) + plane[high + x] * rows[y].weight;
        }
      }
      // Between four cells of background there is background.
      const auto is_background = [&](int64_t x) {
        const auto [left, right, weight] = columns[x];
        return background[low + left] & background[low + right] & background[high + left] &
               background[high + right];
      };
      uint8_t* out = labels + y * slots.stride(0);
      std::fill_n(out, size.width, 0);
      for (int64_t x = 0; x < size.width; ++x) {
        const int64_t first = x;
        while (x < size.width && !is_background(x)) ++x;
        const int64_t count = x - first;
        if (count == 0) continue;
        for (int64_t c = 0; c < channels; ++c) {
          const float* logits = line.data() + c * in_width;
          for (int64_t i = 0; i < count; ++i) {
            const auto [left, right, weight] = columns[first + i];
            wide[c * count + i] = logits[left] * (1 - weight) + logits[right] * weight;
          }
        }
        decoder.decode(wide.data(), channels, count);
        std::copy_n(decoder.label.data(), count, out + first);
        for (int64_t i = 0; i < count; ++i) {
          scores[y * channels + decoder.label[i]] += decoder.best[i];
          ++counts[y * channels + decoder.label[i]];
        }
      }
    }
  });
  for (int64_t c = 1; c < channels; ++c) {
    double score = 0;
    int64_t count = 0;
    for (int64_t y = 0; y < size.height; ++y) {
      score += scores[y * channels + c];
      count += counts[y * channels + c];
    }
    decoded.mean_score[c] = count > 0 ? score / static_cast<double>(count) : 0.0;
  }
  return decoded;
}

// Rows first .. first + count - 1 of a map that is enlarged to `size`.
at::Tensor enlarged_rows(const at::Tensor& map, GridSize size, int64_t first, int64_t count) {
  const std::vector<Tap> taps = linear_taps(map.size(2), size.height);
  const at::Tensor low = at::empty({count}, at::kLong), high = at::empty({count}, at::kLong),
                   weight = at::empty({count, 1}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    const Tap& tap = taps[first + i];
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
  const at::Tensor merged = at::cat(parts, 1).clamp(kSmallest, 1 - kSmallest);
  return at::log(merged / (1 - merged));
}

// By bands of rows: of all slots at once the maps of a large frame would be gigabytes.
DecodedLabels decode_in_bands(const std::vector<at::Tensor>& logits, GridSize size,
                              int64_t objects_per_engine, const at::Tensor& slots) {
  const int64_t band_elements = logits[0].device().is_cpu() ? 1 << 20 : 16 << 20;
  const auto engines = static_cast<int64_t>(logits.size());
  const int64_t channels = engines == 1 ? logits[0].size(1) : 1 + engines * objects_per_engine;
  const int64_t band = std::max<int64_t>(1, band_elements / (channels * size.width));
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
  if (logits.size() == 1 && logits[0].device().is_cpu() && logits[0].scalar_type() == at::kFloat) {
    return decode_one_engine(logits[0], size, slots);
  }
  return decode_in_bands(logits, size, objects_per_engine, slots);
}

}  // namespace hqtrack
