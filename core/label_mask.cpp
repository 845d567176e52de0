#include "core/label_mask.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

namespace hqtrack {
namespace {

void check_label_mask(const at::Tensor& label_mask) {
  TORCH_CHECK(label_mask.dim() == 2 && label_mask.scalar_type() == at::kByte && label_mask.is_contiguous() &&
                  label_mask.device().is_cpu(),
              "label mask: expected contiguous uint8 [H, W] on the CPU, found ", label_mask.toString(), " ",
              label_mask.sizes());
}

std::vector<int64_t> nearest_indices(int64_t in, int64_t out) {
  const float ratio = static_cast<float>(in) / static_cast<float>(out);
  std::vector<int64_t> indices(out);
  for (int64_t i = 0; i < out; ++i) {
    indices[i] = std::min<int64_t>(static_cast<int64_t>(std::floor(static_cast<float>(i) * ratio)), in - 1);
  }
  return indices;
}

}  // namespace

std::array<Region, 256> label_regions(const at::Tensor& label_mask) {
  check_label_mask(label_mask);
  const int64_t height = label_mask.size(0), width = label_mask.size(1);
  const uint8_t* row = label_mask.const_data_ptr<uint8_t>();
  std::array<Region, 256> regions;
  for (int64_t y = 0; y < height; ++y, row += width) {
    for (int64_t x = 0; x < width;) {
      const uint8_t label = row[x];
      const int64_t start = x;
      while (x < width && row[x] == label) ++x;
      Region& region = regions[label];
      if (region.area_px == 0) region.box = {start, y, x, y + 1};
      region.area_px += x - start;
      region.box.x0 = std::min(region.box.x0, start);
      region.box.x1 = std::max(region.box.x1, x);
      region.box.y1 = y + 1;
    }
  }
  return regions;
}

std::vector<int64_t> label_ids(const at::Tensor& label_mask) {
  const auto regions = label_regions(label_mask);
  std::vector<int64_t> ids;
  for (int64_t id = 1; id < 256; ++id) {
    if (regions[id].area_px > 0) ids.push_back(id);
  }
  return ids;
}

at::Tensor resize_labels(const at::Tensor& label_mask, int64_t height, int64_t width) {
  TORCH_CHECK(label_mask.dim() == 2 && label_mask.scalar_type() == at::kByte && label_mask.stride(1) == 1 &&
                  label_mask.device().is_cpu(),
              "label mask: expected uint8 [H, W] with whole rows on the CPU, found ", label_mask.toString(),
              " ", label_mask.sizes());
  const auto rows = nearest_indices(label_mask.size(0), height);
  const auto columns = nearest_indices(label_mask.size(1), width);
  at::Tensor out = at::empty({height, width}, label_mask.options());
  const uint8_t* source = label_mask.const_data_ptr<uint8_t>();
  uint8_t* target = out.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* row = source + rows[y] * label_mask.stride(0);
    for (int64_t x = 0; x < width; ++x) *target++ = row[columns[x]];
  }
  return out;
}

}  // namespace hqtrack
