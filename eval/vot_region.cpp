#include "eval/vot_region.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

#include "core/error.h"

namespace hqtrack {
namespace {

constexpr int64_t kMaxSide_px = 1 << 15;  // result files keep 16 bits

/// Inclusive.
struct Bounds {
  int64_t left = 0, top = 0, right = 0, bottom = 0;

  bool is_degenerate() const { return left >= right || top >= bottom; }
  int64_t width() const { return right - left + 1; }
  int64_t height() const { return bottom - top + 1; }
};

/// Pixels within bounds, row by row.
using Raster = std::vector<uint8_t>;

// "Halves to even", as Python and NumPy round.
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

[[noreturn]] void fail(std::string_view text, const std::string& expected) {
  constexpr size_t kShown = 40;
  const std::string shown(text.substr(0, kShown));
  throw MediaError("expected " + expected + ", found '" + shown + (text.size() > kShown ? "...'" : "'"));
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '+')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

VotRegion parse_mask(std::string_view numbers, std::string_view text) {
  std::vector<int64_t> values;
  for (const std::string_view part : split(numbers)) {
    const auto value = parse_number<int64_t>(part);
    if (!value) fail(text, "a mask of whole numbers");
    values.push_back(*value);
  }
  if (values.size() < 4) fail(text, "a mask x,y,width,height,runs");
  return tightened(mask_from_runs({values[0], values[1], values[2], values[3]},
                                  std::vector<int64_t>(values.begin() + 4, values.end())));
}

VotRegion parse_shape(std::string_view text) {
  std::vector<float> values;
  bool has_nan = false;
  for (const std::string_view part : split(text)) {
    const auto value = parse_number<float>(part);
    if (!value) fail(text, "a region (a mask, numbers or a code)");
    if (std::isinf(*value)) fail(text, "finite numbers");
    has_nan |= std::isnan(*value);
    values.push_back(*value);
  }
  if (has_nan) return VotSpecial{0};
  if (values.size() == 1) return VotSpecial{static_cast<int64_t>(values[0])};
  if (values.size() == 2) return VotPoint{values[0], values[1]};
  if (values.size() == 4) return VotRectangle{values[0], values[1], values[2], values[3]};
  if (values.size() % 2 != 0) fail(text, "1, 2, 4 or an even count of numbers");
  VotPolygon polygon;
  for (size_t i = 0; i < values.size(); i += 2) polygon.corners.push_back({values[i], values[i + 1]});
  return polygon;
}

std::string join(std::span<const float> values) {
  std::string text;
  char number[48];
  for (const float value : values) {
    std::snprintf(number, sizeof number, "%.4f", static_cast<double>(value));
    text += (text.empty() ? "" : ",") + std::string(number);
  }
  return text;
}

std::string shape_text(const VotRegion& region) {
  if (const auto* special = std::get_if<VotSpecial>(&region)) return std::to_string(special->code);
  if (const auto* point = std::get_if<VotPoint>(&region)) return join(std::array{point->x, point->y});
  if (const auto* box = std::get_if<VotRectangle>(&region)) {
    return join(std::array{box->x, box->y, box->width, box->height});
  }
  std::vector<float> values;
  for (const VotPoint& corner : std::get<VotPolygon>(region).corners) {
    values.insert(values.end(), {corner.x, corner.y});
  }
  return join(values);
}

std::string mask_text(const VotMask& mask, std::span<const int64_t> runs) {
  std::string text = std::to_string(mask.x) + "," + std::to_string(mask.y) + "," +
                     std::to_string(mask.width) + "," + std::to_string(mask.height);
  for (const int64_t run : runs) text += "," + std::to_string(run);
  return text;
}

/// Of the pixels in the box of a mask; empty without any.
std::optional<Bounds> pixel_bounds(const VotMask& mask) {
  Bounds bounds{std::numeric_limits<int64_t>::max(), 0, -1, -1};
  for (int64_t y = 0; y < mask.height; ++y) {
    const auto row = mask.pixels.begin() + y * mask.width, end = row + mask.width;
    const auto first = std::find(row, end, 1);
    if (first == end) continue;
    const auto last = std::find(std::make_reverse_iterator(end), std::make_reverse_iterator(row), 1);
    if (bounds.bottom < 0) bounds.top = y;
    bounds.bottom = y;
    bounds.left = std::min(bounds.left, first - row);
    bounds.right = std::max(bounds.right, last.base() - row - 1);
  }
  if (bounds.bottom < 0) return std::nullopt;
  return bounds;
}

Bounds bounds_of(const VotRegion& region) {
  if (const auto* box = std::get_if<VotRectangle>(&region)) {
    const int64_t left = rounded(box->x), top = rounded(box->y);
    return {left, top, left + rounded(box->width) - 1, top + rounded(box->height) - 1};
  }
  if (const auto* polygon = std::get_if<VotPolygon>(&region)) {
    const auto [left, right] = std::ranges::minmax(polygon->corners, {}, &VotPoint::x);
    const auto [top, bottom] = std::ranges::minmax(polygon->corners, {}, &VotPoint::y);
    return {rounded(left.x), rounded(top.y), rounded(right.x), rounded(bottom.y)};
  }
  if (const auto* mask = std::get_if<VotMask>(&region)) {
    const Bounds local = pixel_bounds(*mask).value_or(Bounds{});
    return {local.left + mask->x, local.top + mask->y, local.right + mask->x, local.bottom + mask->y};
  }
  return {};
}

void fill_row(Raster& raster, const Bounds& bounds, int64_t y, int64_t left, int64_t right) {
  left = std::max(left, bounds.left);
  right = std::min(right, bounds.right);
  if (y < bounds.top || y > bounds.bottom || left > right) return;
  const auto row = raster.begin() + (y - bounds.top) * bounds.width();
  std::fill(row + (left - bounds.left), row + (right - bounds.left + 1), 1);
}

void draw(const VotRectangle& box, const Bounds& bounds, Raster& raster) {
  const Bounds own = bounds_of(box);
  for (int64_t y = std::max(own.top, bounds.top); y <= std::min(own.bottom, bounds.bottom); ++y) {
    fill_row(raster, bounds, y, own.left, own.right);
  }
}

/// Columns in which edges cross or touch a row, ascending.
std::vector<int64_t> crossings(const std::vector<VotPoint>& corners, double y) {
  std::vector<int64_t> columns;
  for (size_t i = 0; i < corners.size(); ++i) {
    const VotPoint& a = corners[i];
    const VotPoint& b = corners[(i + corners.size() - 1) % corners.size()];
    const double low = std::min(a.y, b.y), high = std::max(a.y, b.y);
    if (y < low || y > high) continue;
    const double rise = static_cast<double>(b.y) - a.y;
    const double x = rise == 0 ? a.x : a.x + (y - a.y) / rise * (static_cast<double>(b.x) - a.x);
    columns.push_back(static_cast<int64_t>(x));  // towards zero
  }
  std::ranges::sort(columns);
  return columns;
}

void draw(const VotPolygon& polygon, const Bounds& bounds, Raster& raster) {
  // Relative to the bounds, because columns are rounded towards zero.
  std::vector<VotPoint> corners = polygon.corners;
  for (VotPoint& corner : corners) {
    corner = {static_cast<float>(rounded(corner.x) - bounds.left),
              static_cast<float>(rounded(corner.y) - bounds.top)};
  }
  for (int64_t y = 0; y < bounds.height(); ++y) {
    const std::vector<int64_t> columns = crossings(corners, static_cast<double>(y));
    for (size_t i = 0; i + 1 < columns.size();) {
      // A corner on the row comes twice; the first is passed over, but for the last pair.
      if (columns[i] == columns[i + 1] && i + 2 < columns.size()) {
        ++i;
        continue;
      }
      fill_row(raster, bounds, y + bounds.top, columns[i] + bounds.left, columns[i + 1] + bounds.left);
      i += 2;
    }
  }
}

void draw(const VotMask& mask, const Bounds& bounds, Raster& raster) {
  const int64_t left = std::max(mask.x, bounds.left), top = std::max(mask.y, bounds.top);
  const int64_t right = std::min(mask.x + mask.width, bounds.right + 1);
  const int64_t bottom = std::min(mask.y + mask.height, bounds.bottom + 1);
  for (int64_t y = top; y < bottom && left < right; ++y) {
    const auto row = mask.pixels.begin() + (y - mask.y) * mask.width + (left - mask.x);
    std::copy(row, row + (right - left),
              raster.begin() + (y - bounds.top) * bounds.width() + (left - bounds.left));
  }
}

Raster rasterized(const VotRegion& region, const Bounds& bounds) {
  Raster raster(static_cast<size_t>(bounds.width() * bounds.height()), 0);
  if (const auto* box = std::get_if<VotRectangle>(&region)) draw(*box, bounds, raster);
  if (const auto* polygon = std::get_if<VotPolygon>(&region)) draw(*polygon, bounds, raster);
  if (const auto* mask = std::get_if<VotMask>(&region)) draw(*mask, bounds, raster);
  return raster;
}

}  // namespace

VotRegion parse_vot_region(std::string_view text) {
  if (!text.empty() && text.front() == 'm') return parse_mask(text.substr(1), text);
  return parse_shape(text);
}

VotRegion parse_trax_region(std::string_view text) {
  constexpr std::string_view kMask = "mask:";
  if (text.starts_with(kMask)) return parse_mask(text.substr(kMask.size()), text);
  return parse_shape(text);
}

std::string to_text(const VotRegion& region) {
  const auto* mask = std::get_if<VotMask>(&region);
  return mask ? "m" + mask_text(*mask, to_runs(*mask)) : shape_text(region);
}

std::string to_trax_text(const VotRegion& region) {
  const auto* mask = std::get_if<VotMask>(&region);
  if (!mask) return shape_text(region);
  std::vector<int64_t> runs = to_runs(*mask);
  if (runs.size() % 2 == 1) runs.pop_back();
  return runs.empty() ? "mask:0,0,1,1,1" : "mask:" + mask_text(*mask, runs);
}

std::vector<int64_t> to_runs(const VotMask& mask) {
  std::vector<int64_t> runs;
  uint8_t value = 0;
  for (auto begin = mask.pixels.begin(); begin != mask.pixels.end(); value ^= 1) {
    const auto end = std::find(begin, mask.pixels.end(), value ^ 1);
    runs.push_back(end - begin);
    begin = end;
  }
  if (runs.empty()) runs.push_back(0);
  return runs;
}

VotMask mask_from_runs(std::array<int64_t, 4> box, const std::vector<int64_t>& runs) {
  const auto [x, y, width, height] = box;
  if (width < 0 || height < 0 || width > kMaxSide_px || height > kMaxSide_px || std::abs(x) > kMaxSide_px ||
      std::abs(y) > kMaxSide_px) {
    throw MediaError("expected a mask of at most " + std::to_string(kMaxSide_px) + " pixels a side, found " +
                     std::to_string(width) + "x" + std::to_string(height) + " at " + std::to_string(x) + "," +
                     std::to_string(y));
  }
  VotMask mask{x, y, width, height, std::vector<uint8_t>(static_cast<size_t>(width * height), 0)};
  int64_t position = 0;
  uint8_t value = 0;
  for (const int64_t run : runs) {
    if (run < 0) throw MediaError("expected runs of 0 and more pixels, found " + std::to_string(run));
    const int64_t length = std::min(run, width * height - position);
    std::fill_n(mask.pixels.begin() + position, length, value);
    position += length;
    value ^= 1;
  }
  return mask;
}

VotMask tightened(const VotMask& mask) {
  const auto bounds = pixel_bounds(mask);
  if (!bounds || bounds->right == 0) return {};
  VotMask tight{mask.x + bounds->left, mask.y + bounds->top, bounds->width(), bounds->height(), {}};
  tight.pixels.reserve(static_cast<size_t>(tight.width * tight.height));
  for (int64_t y = bounds->top; y <= bounds->bottom; ++y) {
    const auto row = mask.pixels.begin() + y * mask.width + bounds->left;
    tight.pixels.insert(tight.pixels.end(), row, row + tight.width);
  }
  return tight;
}

bool is_empty(const VotRegion& region) {
  if (const auto* box = std::get_if<VotRectangle>(&region)) return !(box->width > 0 && box->height > 0);
  if (const auto* polygon = std::get_if<VotPolygon>(&region)) {
    const auto [left, right] = std::ranges::minmax(polygon->corners, {}, &VotPoint::x);
    const auto [top, bottom] = std::ranges::minmax(polygon->corners, {}, &VotPoint::y);
    return left.x == right.x || top.y == bottom.y;
  }
  if (const auto* mask = std::get_if<VotMask>(&region)) {
    const Bounds bounds = pixel_bounds(*mask).value_or(Bounds{});
    return bounds.right == 0 || bounds.bottom == 0;
  }
  return std::holds_alternative<VotSpecial>(region);
}

double overlap(const VotRegion& a, const VotRegion& b, std::optional<std::pair<int64_t, int64_t>> size,
               const VotRegion& ignore) {
  const Bounds first = bounds_of(a), second = bounds_of(b);
  Bounds both{std::min(first.left, second.left), std::min(first.top, second.top),
              std::max(first.right, second.right), std::max(first.bottom, second.bottom)};
  if (both.is_degenerate()) return 1.0;
  if (size) {
    both = {std::max<int64_t>(0, both.left), std::max<int64_t>(0, both.top),
            std::min(size->first - 1, both.right), std::min(size->second - 1, both.bottom)};
    if (both.is_degenerate()) return 0.0;
  }
  const Raster pixels_a = rasterized(a, both), pixels_b = rasterized(b, both);
  const Raster ignored = rasterized(ignore, both);
  int64_t intersection = 0, either = 0;
  for (size_t i = 0; i < pixels_a.size(); ++i) {
    const int counts = ignored[i] ^ 1;
    intersection += pixels_a[i] & pixels_b[i] & counts;
    either += (pixels_a[i] | pixels_b[i]) & counts;
  }
  return either == 0 ? 0.0 : static_cast<double>(intersection) / static_cast<double>(either);
}

VotMask to_vot_mask(const at::Tensor& mask) {
  const at::Tensor pixels = mask.ne(0).to(at::kByte).contiguous();
  const auto* begin = pixels.const_data_ptr<uint8_t>();
  return tightened({0, 0, pixels.size(1), pixels.size(0), {begin, begin + pixels.numel()}});
}

at::Tensor to_mask(const VotRegion& region, int64_t height, int64_t width) {
  const Raster raster = rasterized(region, {0, 0, width - 1, height - 1});
  const at::Tensor mask = at::zeros({height, width}, at::kByte);
  std::copy(raster.begin(), raster.end(), mask.mutable_data_ptr<uint8_t>());
  return mask.to(at::kBool);
}

}  // namespace hqtrack
