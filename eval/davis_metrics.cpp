#include "eval/davis_metrics.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hqtrack {
namespace {

/// A map of zeros and ones, row by row.
struct BinaryMap {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;

  const uint8_t* row(int64_t y) const { return pixels.data() + y * width; }
  uint8_t* row(int64_t y) { return pixels.data() + y * width; }
};

void check_mask(const at::Tensor& mask, const at::Tensor& truth, const char* name) {
  TORCH_CHECK(mask.dim() == 2 && mask.is_cpu() && mask.element_size() == 1, name,
              " mask: expected bool or uint8 [H, W] on the CPU, found ", mask.toString(), " ", mask.sizes());
  TORCH_CHECK(mask.sizes() == truth.sizes(), name, " mask: expected ", truth.sizes(),
              " as the true mask, found ", mask.sizes());
}

BinaryMap to_binary(const at::Tensor& mask, const at::Tensor& void_mask) {
  BinaryMap map{mask.size(0), mask.size(1), std::vector<uint8_t>(mask.numel())};
  const at::Tensor rows = mask.contiguous();
  const auto* values = static_cast<const uint8_t*>(rows.const_data_ptr());
  for (size_t i = 0; i < map.pixels.size(); ++i) map.pixels[i] = values[i] != 0;
  if (void_mask.defined()) {
    const at::Tensor void_rows = void_mask.contiguous();
    const auto* ignored = static_cast<const uint8_t*>(void_rows.const_data_ptr());
    for (size_t i = 0; i < map.pixels.size(); ++i) map.pixels[i] &= ignored[i] == 0;
  }
  return map;
}

/// A pixel is contour when its right, lower or lower right neighbour is of the other kind. So the contour
/// lies half a pixel up and to the left of the true edge, in both masks alike; neighbours outside the picture
/// do not count.
BinaryMap contour_map(const BinaryMap& mask) {
  BinaryMap contour{mask.height, mask.width, std::vector<uint8_t>(mask.pixels.size(), 0)};
  const int64_t last = mask.width - 1;
  for (int64_t y = 0; y < mask.height; ++y) {
    const uint8_t* here = mask.row(y);
    const uint8_t* below = y + 1 < mask.height ? mask.row(y + 1) : here;
    uint8_t* out = contour.row(y);
    for (int64_t x = 0; x < last; ++x) {
      out[x] = (here[x] ^ here[x + 1]) | (here[x] ^ below[x]) | (here[x] ^ below[x + 1]);
    }
    out[last] = here[last] ^ below[last];
  }
  return contour;
}

int64_t count_pixels(const BinaryMap& map) {
  return std::accumulate(map.pixels.begin(), map.pixels.end(), int64_t{0});
}

/// Distance of every pixel to the nearest set pixel of its own row, in pixels, no more than `cap`.
std::vector<uint16_t> distances_in_row(const BinaryMap& map, uint16_t cap) {
  std::vector<uint16_t> distances(map.pixels.size());
  for (int64_t y = 0; y < map.height; ++y) {
    const uint8_t* pixels = map.row(y);
    uint16_t* out = distances.data() + y * map.width;
    uint16_t distance = cap;
    for (int64_t x = 0; x < map.width; ++x) {
      distance = pixels[x] ? 0 : std::min<uint16_t>(distance + 1, cap);
      out[x] = distance;
    }
    distance = cap;
    for (int64_t x = map.width - 1; x >= 0; --x) {
      distance = pixels[x] ? 0 : std::min<uint16_t>(distance + 1, cap);
      out[x] = std::min(out[x], distance);
    }
  }
  return distances;
}

/// Half the width of the disk of this radius in each of its rows; entry 0 is the middle row.
std::vector<int64_t> disk_half_widths(int64_t radius) {
  std::vector<int64_t> half_widths(radius + 1);
  int64_t half_width = radius;
  for (int64_t dy = 0; dy <= radius; ++dy) {
    while (half_width * half_width + dy * dy > radius * radius) --half_width;
    half_widths[dy] = half_width;
  }
  return half_widths;
}

/// Pixels of `contour` that a disk around some pixel of `other` covers. Same as dilating `other` by the disk,
/// but each contour pixel only asks the rows of the disk how far their nearest pixel is.
int64_t count_matched(const BinaryMap& contour, const BinaryMap& other, int64_t radius) {
  const std::vector<uint16_t> distances = distances_in_row(other, static_cast<uint16_t>(radius + 1));
  const std::vector<int64_t> half_widths = disk_half_widths(radius);
  const auto is_matched = [&](int64_t y, int64_t x) {
    const int64_t top = std::max<int64_t>(y - radius, 0), bottom = std::min(y + radius, contour.height - 1);
    for (int64_t row = top; row <= bottom; ++row) {
      if (distances[row * contour.width + x] <= half_widths[std::abs(row - y)]) return true;
    }
    return false;
  };
  int64_t matched = 0;
  for (int64_t y = 0; y < contour.height; ++y) {
    const uint8_t* pixels = contour.row(y);
    for (int64_t x = 0; x < contour.width; ++x) matched += pixels[x] && is_matched(y, x);
  }
  return matched;
}

}  // namespace

int64_t contour_tolerance_px(int64_t height, int64_t width) {
  return static_cast<int64_t>(
      std::ceil(0.008 * std::sqrt(static_cast<double>(height * height + width * width))));
}

double region_similarity_j(const at::Tensor& truth, const at::Tensor& result, const at::Tensor& void_mask) {
  check_mask(truth, truth, "true");
  check_mask(result, truth, "result");
  if (void_mask.defined()) check_mask(void_mask, truth, "void");
  const BinaryMap a = to_binary(truth, void_mask), b = to_binary(result, void_mask);
  int64_t intersection = 0, union_px = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    intersection += a.pixels[i] & b.pixels[i];
    union_px += a.pixels[i] | b.pixels[i];
  }
  return union_px == 0 ? 1.0 : static_cast<double>(intersection) / static_cast<double>(union_px);
}

double contour_accuracy_f(const at::Tensor& truth, const at::Tensor& result, const at::Tensor& void_mask) {
  check_mask(truth, truth, "true");
  check_mask(result, truth, "result");
  if (void_mask.defined()) check_mask(void_mask, truth, "void");
  if (truth.numel() == 0) return 1.0;
  const BinaryMap true_contour = contour_map(to_binary(truth, void_mask));
  const BinaryMap contour = contour_map(to_binary(result, void_mask));
  const int64_t num_true = count_pixels(true_contour), num_result = count_pixels(contour);
  if (num_true == 0 && num_result == 0) return 1.0;
  if (num_true == 0 || num_result == 0) return 0.0;
  const int64_t radius = contour_tolerance_px(truth.size(0), truth.size(1));
  const double precision = static_cast<double>(count_matched(contour, true_contour, radius)) / num_result;
  const double recall = static_cast<double>(count_matched(true_contour, contour, radius)) / num_true;
  return precision + recall == 0.0 ? 0.0 : 2.0 * precision * recall / (precision + recall);
}

ScoreStatistics score_statistics(std::span<const double> scores) {
  TORCH_CHECK(!scores.empty(), "score_statistics: expected at least one frame, found none");
  const auto mean = [](std::span<const double> part) {
    return std::accumulate(part.begin(), part.end(), 0.0) / static_cast<double>(part.size());
  };
  // Edges of the quarters, rounded to the nearest frame, halves up; neighbouring quarters share their edge.
  const auto edge = [&](size_t quarter) { return ((scores.size() - 1) * quarter + 2) / 4; };
  const auto above = std::count_if(scores.begin(), scores.end(), [](double score) { return score > 0.5; });
  return {.mean = mean(scores),
          .recall = static_cast<double>(above) / static_cast<double>(scores.size()),
          .decay = mean(scores.subspan(0, edge(1) + 1)) - mean(scores.subspan(edge(3)))};
}

}  // namespace hqtrack
