#include "eval/davis_metrics.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <iterator>
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

/// Where either mask has a pixel, with a row and a column of neither around it, as far as the picture goes.
struct Extent {
  int64_t top = 0, left = 0, bottom = 0, right = 0;  // the last two exclusive
};

void extend(Extent& extent, const at::Tensor& mask) {
  const auto* pixels = static_cast<const uint8_t*>(mask.const_data_ptr());
  const int64_t height = mask.size(0), width = mask.size(1);
  const auto is_set = [](uint8_t pixel) { return pixel != 0; };
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t *row = pixels + y * width, *end = row + width;
    const uint8_t* first = std::find_if(row, end, is_set);
    if (first == end) continue;
    const auto last = std::find_if(std::reverse_iterator(end), std::reverse_iterator(first), is_set);
    const Extent own{std::max<int64_t>(y - 1, 0), std::max<int64_t>(first - row - 1, 0),
                     std::min(y + 2, height), std::min<int64_t>(last.base() - row + 1, width)};
    if (extent.bottom == 0) extent = own;
    extent = {std::min(extent.top, own.top), std::min(extent.left, own.left),
              std::max(extent.bottom, own.bottom), std::max(extent.right, own.right)};
  }
}

BinaryMap to_binary(const at::Tensor& mask, const Extent& extent, const at::Tensor& void_mask) {
  BinaryMap map{extent.bottom - extent.top, extent.right - extent.left, {}};
  map.pixels.resize(static_cast<size_t>(map.height * map.width));
  const auto* values = static_cast<const uint8_t*>(mask.const_data_ptr());
  const auto* ignored =
      void_mask.defined() ? static_cast<const uint8_t*>(void_mask.const_data_ptr()) : nullptr;
  for (int64_t y = 0; y < map.height; ++y) {
    const int64_t begin = (y + extent.top) * mask.size(1) + extent.left;
    uint8_t* const row = map.row(y);
    for (int64_t x = 0; x < map.width; ++x) row[x] = values[begin + x] != 0;
    for (int64_t x = 0; ignored && x < map.width; ++x) row[x] &= ignored[begin + x] == 0;
  }
  return map;
}

struct BinaryMaps {
  BinaryMap truth, result;
};

/// Both masks where at least one of them has a pixel: the rest of the picture changes no measure.
BinaryMaps to_binary(const at::Tensor& truth, const at::Tensor& result, const at::Tensor& void_mask) {
  check_mask(truth, truth, "true");
  check_mask(result, truth, "result");
  if (void_mask.defined()) check_mask(void_mask, truth, "void");
  const at::Tensor rows_a = truth.contiguous(), rows_b = result.contiguous();
  const at::Tensor ignored = void_mask.defined() ? void_mask.contiguous() : at::Tensor();
  Extent extent;
  extend(extent, rows_a);
  extend(extent, rows_b);
  return {to_binary(rows_a, extent, ignored), to_binary(rows_b, extent, ignored)};
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

/// Intersection over union; empty when neither has a pixel.
std::optional<double> overlap(const BinaryMap& a, const BinaryMap& b) {
  int64_t intersection = 0, either = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    intersection += a.pixels[i] & b.pixels[i];
    either += a.pixels[i] | b.pixels[i];
  }
  if (either == 0) return std::nullopt;
  return static_cast<double>(intersection) / static_cast<double>(either);
}

/// What is left of a mask eroded by a square of this radius: first along rows, then along columns.
BinaryMap eroded(const BinaryMap& mask, int64_t radius) {
  BinaryMap rows = mask, both = mask;
  const auto erode_line = [radius](const uint8_t* from, uint8_t* to, int64_t count, int64_t step) {
    int64_t run = 0;  // set pixels up to here
    for (int64_t i = 0; i < count + radius; ++i) {
      run = i < count && from[i * step] ? run + 1 : 0;
      if (i >= radius) to[(i - radius) * step] = run > 2 * radius;
    }
  };
  for (int64_t y = 0; y < mask.height; ++y) erode_line(mask.row(y), rows.row(y), mask.width, 1);
  for (int64_t x = 0; x < mask.width; ++x) {
    erode_line(rows.pixels.data() + x, both.pixels.data() + x, mask.height, mask.width);
  }
  return both;
}

/// The pixels of a mask that are near its edge.
BinaryMap edge_of(const BinaryMap& mask, int64_t width) {
  BinaryMap edge = eroded(mask, width);
  for (size_t i = 0; i < edge.pixels.size(); ++i) edge.pixels[i] = mask.pixels[i] & (edge.pixels[i] ^ 1);
  return edge;
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
  const auto [a, b] = to_binary(truth, result, void_mask);
  return overlap(a, b).value_or(1.0);
}

double contour_accuracy_f(const at::Tensor& truth, const at::Tensor& result, const at::Tensor& void_mask) {
  const auto [a, b] = to_binary(truth, result, void_mask);
  if (a.pixels.empty()) return 1.0;
  const BinaryMap true_contour = contour_map(a), contour = contour_map(b);
  const int64_t num_true = count_pixels(true_contour), num_result = count_pixels(contour);
  if (num_true == 0 && num_result == 0) return 1.0;
  if (num_true == 0 || num_result == 0) return 0.0;
  const int64_t radius = contour_tolerance_px(truth.size(0), truth.size(1));
  const double precision = static_cast<double>(count_matched(contour, true_contour, radius)) / num_result;
  const double recall = static_cast<double>(count_matched(true_contour, contour, radius)) / num_true;
  return precision + recall == 0.0 ? 0.0 : 2.0 * precision * recall / (precision + recall);
}

std::optional<double> boundary_iou(const at::Tensor& truth, const at::Tensor& result, double ratio) {
  const auto [a, b] = to_binary(truth, result, {});
  const auto diagonal = std::hypot(static_cast<double>(truth.size(0)), static_cast<double>(truth.size(1)));
  const int64_t width = std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(ratio * diagonal)));
  return overlap(edge_of(a, width), edge_of(b, width));
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
