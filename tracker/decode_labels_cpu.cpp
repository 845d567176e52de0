#include "tracker/decode_labels_cpu.h"

#include <algorithm>
#include <cmath>

#include "core/exp_negative.h"
#include "core/threads.h"
#include "tracker/linear_taps.h"

namespace hqtrack {
namespace {

constexpr float kLowest = static_cast<float>(kSmallestMerged), kHighest = 1.0f - kLowest;

// Logits of one engine: [channels][height][width], background first, the objects in slots from first_slot on.
struct EngineMap {
  const float* logits;
  int64_t channels;
  int64_t first_slot;
};

float odds(float probability) { return probability / (1.0f - probability); }

// What background must lead every object by, in the logits of every engine, to win after merging, where the
// products of its probabilities decide.
float clear_lead(size_t engines, int64_t objects) {
  if (engines == 1) return 0.0f;
  float lead = 0.0f;
  const auto others = static_cast<float>(engines - 1);
  while (others * std::log1p(static_cast<float>(objects) * std::exp(-lead)) > lead) lead += 0.25f;
  return lead;
}

// Label and probability of neighbouring pixels.
class PixelDecoder {
 public:
  PixelDecoder(const std::vector<EngineMap>& engines, int64_t objects_per_engine, int64_t width)
      : engines_(engines), best_(width), sum_(width), background_(width), label_(width) {
    int64_t missing = 0;
    for (const EngineMap& engine : engines) missing += objects_per_engine - (engine.channels - 1);
    missing_odds_ = static_cast<float>(missing) * odds(kLowest);
  }

  // logits: [channels of all engines][count]; overwritten.
  void decode(float* logits, int64_t count) {
    engines_.size() == 1 ? decode_one(logits, count) : decode_merged(logits, count);
  }
  const std::vector<uint8_t>& label() const { return label_; }
  const std::vector<float>& probability() const { return best_; }  // of the label; not of background's

 private:
  void decode_one(const float* logits, int64_t count) {
    const int64_t channels = engines_[0].channels;
    begin(logits, count);
    for (int64_t c = 1; c < channels; ++c) take_larger(logits + c * count, count, c);
    std::fill_n(sum_.begin(), count, 0.0f);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t x = 0; x < count; ++x) sum_[x] += exp_negative(logits[c * count + x] - best_[x]);
    }
    for (int64_t x = 0; x < count; ++x) best_[x] = 1.0f / sum_[x];
  }

  void decode_merged(float* logits, int64_t count) {
    std::fill_n(background_.begin(), count, 1.0f);
    float* engine_logits = logits;
    for (const EngineMap& engine : engines_) {
      to_probabilities(engine_logits, engine.channels, count);
      for (int64_t x = 0; x < count; ++x) background_[x] *= engine_logits[x];
      engine_logits += engine.channels * count;
    }
    for (int64_t x = 0; x < count; ++x) background_[x] = std::clamp(background_[x], kLowest, kHighest);
    begin(background_.data(), count);
    for (int64_t x = 0; x < count; ++x) sum_[x] = missing_odds_ + odds(background_[x]);
    const float* probability = logits;
    for (const EngineMap& engine : engines_) {
      for (int64_t c = 1; c < engine.channels; ++c) {
        const float* row = probability + c * count;
        for (int64_t x = 0; x < count; ++x) sum_[x] += odds(row[x]);
        take_larger(row, count, engine.first_slot + c - 1);
      }
      probability += engine.channels * count;
    }
    for (int64_t x = 0; x < count; ++x) best_[x] = odds(best_[x]) / sum_[x];
  }

  // Softmax over the channels; those of objects are kept within the limits.
  void to_probabilities(float* logits, int64_t channels, int64_t count) {
    std::copy_n(logits, count, best_.data());
    for (int64_t c = 1; c < channels; ++c) {
      for (int64_t x = 0; x < count; ++x) best_[x] = std::max(best_[x], logits[c * count + x]);
    }
    std::fill_n(sum_.begin(), count, 0.0f);
    for (int64_t c = 0; c < channels; ++c) {
      float* row = logits + c * count;
      for (int64_t x = 0; x < count; ++x) {
        row[x] = exp_negative(row[x] - best_[x]);
        sum_[x] += row[x];
      }
    }
    for (int64_t x = 0; x < count; ++x) logits[x] /= sum_[x];
    for (int64_t c = 1; c < channels; ++c) {
      float* row = logits + c * count;
      for (int64_t x = 0; x < count; ++x) row[x] = std::clamp(row[x] / sum_[x], kLowest, kHighest);
    }
  }

  void begin(const float* background, int64_t count) {
    std::copy_n(background, count, best_.data());
    std::fill_n(label_.begin(), count, 0);
  }

  void take_larger(const float* row, int64_t count, int64_t slot) {
    for (int64_t x = 0; x < count; ++x) {
      const bool is_larger = row[x] > best_[x];
      best_[x] = is_larger ? row[x] : best_[x];
      label_[x] = is_larger ? static_cast<uint8_t>(slot) : label_[x];
    }
  }

  const std::vector<EngineMap>& engines_;
  float missing_odds_;
  std::vector<float> best_, sum_, background_;
  std::vector<uint8_t> label_;
};

// Cells of the map that show background whatever lies between them and their like.
std::vector<uint8_t> background_cells(const std::vector<EngineMap>& engines, float lead, int64_t cells) {
  std::vector<uint8_t> is_background(cells, 1);
  for (const EngineMap& engine : engines) {
    for (int64_t c = 1; c < engine.channels; ++c) {
      const float* object = engine.logits + c * cells;
      for (int64_t i = 0; i < cells; ++i) is_background[i] &= object[i] + lead <= engine.logits[i];
    }
  }
  return is_background;
}

}  // namespace

DecodedLabels decode_labels_cpu(const std::vector<at::Tensor>& logits, GridSize size,
                                int64_t objects_per_engine, const at::Tensor& slots) {
  std::vector<at::Tensor> sources;
  std::vector<EngineMap> engines;
  int64_t num_planes = 0, num_slots = 1;
  for (const at::Tensor& engine : logits) {
    const at::Tensor& source = sources.emplace_back(engine[0].contiguous());
    engines.push_back({source.const_data_ptr<float>(), source.size(0), num_slots});
    num_planes += source.size(0);
    num_slots += logits.size() == 1 ? source.size(0) - 1 : objects_per_engine;
  }
  const int64_t in_height = sources[0].size(1), in_width = sources[0].size(2);
  const int64_t cells = in_height * in_width;
  const std::vector<LinearTap> rows = linear_taps(in_height, size.height),
                               columns = linear_taps(in_width, size.width);
  const std::vector<uint8_t> background =
      background_cells(engines, clear_lead(engines.size(), objects_per_engine), cells);
  // Sums of each row apart, so that the result does not depend on the number of threads.
  std::vector<double> scores(size.height * num_slots);
  std::vector<int64_t> counts(size.height * num_slots);
  uint8_t* labels = slots.mutable_data_ptr<uint8_t>();
  constexpr int64_t kRows = 32;  // of one piece of work
  share_out((size.height + kRows - 1) / kRows, [&](int64_t piece) {
    std::vector<float> line(num_planes * in_width), wide(num_planes * size.width);
    PixelDecoder decoder(engines, engines.size() == 1 ? engines[0].channels - 1 : objects_per_engine,
                         size.width);
    for (int64_t y = piece * kRows; y < std::min((piece + 1) * kRows, size.height); ++y) {
      const int64_t low = rows[y].low * in_width, high = rows[y].high * in_width;
      float* plane_line = line.data();
      for (const EngineMap& engine : engines) {
        for (int64_t c = 0; c < engine.channels; ++c, plane_line += in_width) {
          const float* plane = engine.logits + c * cells;
          for (int64_t x = 0; x < in_width; ++x) {
            plane_line[x] = plane[low + x] * (1 - rows[y].weight) + plane[high + x] * rows[y].weight;
          }
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
        for (int64_t plane = 0; plane < num_planes; ++plane) {
          const float* narrow = line.data() + plane * in_width;
          for (int64_t i = 0; i < count; ++i) {
            const auto [left, right, weight] = columns[first + i];
            wide[plane * count + i] = narrow[left] * (1 - weight) + narrow[right] * weight;
          }
        }
        decoder.decode(wide.data(), count);
        std::copy_n(decoder.label().data(), count, out + first);
        for (int64_t i = 0; i < count; ++i) {
          scores[y * num_slots + out[first + i]] += decoder.probability()[i];
          ++counts[y * num_slots + out[first + i]];
        }
      }
    }
  });
  DecodedLabels decoded{slots, std::vector<double>(num_slots)};
  for (int64_t slot = 1; slot < num_slots; ++slot) {
    double score = 0;
    int64_t count = 0;
    for (int64_t y = 0; y < size.height; ++y) {
      score += scores[y * num_slots + slot];
      count += counts[y * num_slots + slot];
    }
    decoded.mean_score[slot] = count > 0 ? score / static_cast<double>(count) : 0.0;
  }
  return decoded;
}

}  // namespace hqtrack
