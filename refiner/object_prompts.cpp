#include "refiner/object_prompts.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "core/label_mask.h"
#include "refiner/preprocess.h"

namespace hqtrack {

PromptBox clipped(const PromptBox& box, GridSize picture) {
  return {std::max(box.x0, 0.0), std::max(box.y0, 0.0), std::min(box.x1, static_cast<double>(picture.width)),
          std::min(box.y1, static_cast<double>(picture.height))};
}

std::optional<PromptBox> outer_box(const ObjectPrompt& prompt) {
  std::optional<PromptBox> outer = prompt.box;
  if (!outer && prompt.mask.defined()) {
    const Region region = label_regions(prompt.mask.to(at::kByte).contiguous())[1];
    if (region.area_px > 0) {
      const Box& box = region.box;
      outer = {static_cast<double>(box.x0), static_cast<double>(box.y0), static_cast<double>(box.x1),
               static_cast<double>(box.y1)};
    }
  }
  for (const PromptPoint& point : prompt.points) {
    if (!point.is_object) continue;
    if (!outer) outer = {point.x, point.y, point.x + 1, point.y + 1};
    outer = {std::min(outer->x0, point.x), std::min(outer->y0, point.y), std::max(outer->x1, point.x + 1),
             std::max(outer->y1, point.y + 1)};
  }
  return outer;
}

ObjectPrompt seen_in(const Box& part, const ObjectPrompt& prompt) {
  const auto left = static_cast<double>(part.x0), top = static_cast<double>(part.y0);
  ObjectPrompt seen = prompt;
  if (prompt.box) {
    const auto [x0, y0, x1, y1] = *prompt.box;
    seen.box = {x0 - left, y0 - top, x1 - left, y1 - top};
  }
  if (prompt.mask.defined()) seen.mask = prompt.mask.slice(0, part.y0, part.y1).slice(1, part.x0, part.x1);
  for (PromptPoint& point : seen.points) {
    point.x -= left;
    point.y -= top;
  }
  std::erase_if(seen.points, [&](const PromptPoint& point) {
    return point.x < 0 || point.y < 0 || point.x >= static_cast<double>(part.x1 - part.x0) ||
           point.y >= static_cast<double>(part.y1 - part.y0);
  });
  return seen;
}

Prompts to_prompts(std::span<const ObjectPrompt> prompts, const ImageEmbedding& image) {
  std::vector<double> corners, positions;
  std::vector<int64_t> labels;
  std::vector<at::Tensor> masks;
  for (const ObjectPrompt& prompt : prompts) {
    // The network's second corner is the last pixel inside.
    if (prompt.box) {
      const auto [x0, y0, x1, y1] = *prompt.box;
      corners.insert(corners.end(), {x0, y0, x1 - 1, y1 - 1});
    }
    for (const PromptPoint& point : prompt.points) {
      positions.insert(positions.end(), {point.x, point.y});
      labels.push_back(point.is_object ? 1 : 0);
    }
    if (prompt.mask.defined()) {
      masks.push_back(mask_prompt(prompt.mask, image.resized_size, image.input_size()));
    }
  }
  const auto count = static_cast<int64_t>(prompts.size());
  Prompts result;
  if (!corners.empty()) result.boxes = at::tensor(corners, at::kDouble).view({count, 4});
  if (!labels.empty()) {
    result.points = at::tensor(positions, at::kDouble).view({count, -1, 2});
    result.labels = at::tensor(labels, at::kLong).view({count, -1});
  }
  if (!masks.empty()) result.masks = at::cat(masks);
  return result;
}

std::vector<std::vector<size_t>> same_form(std::span<const ObjectPrompt> prompts, size_t most) {
  std::map<std::tuple<bool, bool, size_t>, std::vector<size_t>> by_form;
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const ObjectPrompt& prompt = prompts[i];
    auto& group = by_form[{prompt.box.has_value(), prompt.mask.defined(), prompt.points.size()}];
    group.push_back(i);
    if (group.size() == most) groups.push_back(std::exchange(group, {}));
  }
  for (auto& [form, group] : by_form) {
    if (!group.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace hqtrack
