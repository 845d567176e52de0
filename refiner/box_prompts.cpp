#include "refiner/box_prompts.h"

#include <ATen/ops/tensor.h>

#include <algorithm>

#include "core/label_mask.h"

namespace hqtrack {

BoxPrompts box_prompts(const at::Tensor& label_mask, const RefinerConfig& config) {
  const auto regions = label_regions(label_mask.contiguous());
  const double right = static_cast<double>(label_mask.size(1) - 1),
               bottom = static_cast<double>(label_mask.size(0) - 1);
  BoxPrompts found;
  std::vector<double> corners;
  for (int64_t id = 1; id < static_cast<int64_t>(regions.size()); ++id) {
    const auto& [area_px, box] = regions[id];
    if (area_px < config.min_area_px) continue;
    found.ids.push_back(id);
    const double margin = config.box_margin * static_cast<double>(std::max(box.x1 - box.x0, box.y1 - box.y0));
    corners.insert(corners.end(), {std::max(0.0, static_cast<double>(box.x0) - margin),
                                   std::max(0.0, static_cast<double>(box.y0) - margin),
                                   std::min(right, static_cast<double>(box.x1 - 1) + margin),
                                   std::min(bottom, static_cast<double>(box.y1 - 1) + margin)});
  }
  if (!found.ids.empty()) found.prompts.boxes = at::tensor(corners, at::kDouble).view({-1, 4});
  return found;
}

Box crop_around(std::array<double, 4> corners, GridSize picture, const RefinerConfig& config) {
  const auto [x0, y0, x1, y1] = corners;
  const double margin =
      config.crop_margin * std::max(x1 - x0, y1 - y0) + static_cast<double>(config.crop_margin_px);
  const auto low = [&](double edge) { return static_cast<int64_t>(std::max(0.0, edge - margin)); };
  const auto high = [&](double edge, int64_t end) {
    return static_cast<int64_t>(std::min(static_cast<double>(end), edge + margin + 1));
  };
  return {.x0 = low(x0), .y0 = low(y0), .x1 = high(x1, picture.width), .y1 = high(y1, picture.height)};
}

}  // namespace hqtrack
