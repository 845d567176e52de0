#include "core/prompt.h"

#include <ATen/ops/eq.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/label_mask.h"

namespace hqtrack {
namespace {

std::string text_of(std::initializer_list<double> values) {
  std::ostringstream out;
  const char* separator = "";
  for (const double value : values) out << std::exchange(separator, ",") << value;
  return out.str();
}

std::string fault_of_box(const PromptBox& box, int64_t height, int64_t width) {
  const std::string found = ", found " + text_of({box.x0, box.y0, box.x1, box.y1});
  for (const double value : {box.x0, box.y0, box.x1, box.y1}) {
    if (!std::isfinite(value)) return "box: expected four numbers" + found;
  }
  if (box.x1 <= box.x0 || box.y1 <= box.y0) return "box: expected x0 < x1 and y0 < y1" + found;
  const double seen_x = std::min(box.x1, static_cast<double>(width)) - std::max(box.x0, 0.0);
  const double seen_y = std::min(box.y1, static_cast<double>(height)) - std::max(box.y0, 0.0);
  if (seen_x < 1 || seen_y < 1) {
    return "box: expected at least a pixel inside the picture of " + std::to_string(width) + "x" +
           std::to_string(height) + found;
  }
  return {};
}

std::string fault_of_point(const PromptPoint& point, int64_t height, int64_t width) {
  // Written so that NaN is outside.
  const bool is_inside = point.x >= 0 && point.y >= 0 && point.x < static_cast<double>(width) &&
                         point.y < static_cast<double>(height);
  if (is_inside) return {};
  return "point: expected one inside the picture of " + std::to_string(width) + "x" + std::to_string(height) +
         ", found " + text_of({point.x, point.y});
}

std::string fault_of_mask(const at::Tensor& mask, int64_t height, int64_t width) {
  if (mask.scalar_type() != at::kBool || !mask.device().is_cpu()) {
    return std::string("mask: expected Bool on the CPU, found ") + c10::toString(mask.scalar_type()) +
           " on " + mask.device().str();
  }
  if (mask.dim() != 2 || mask.size(0) != height || mask.size(1) != width) {
    return "mask: expected " + std::to_string(width) + "x" + std::to_string(height) +
           " as the picture, found " +
           (mask.dim() == 2 ? std::to_string(mask.size(1)) + "x" + std::to_string(mask.size(0))
                            : std::to_string(mask.dim()) + " dimensions");
  }
  return mask.any().item<bool>() ? "" : "mask: expected at least a pixel of the object, found none";
}

}  // namespace

std::string fault_of(const ObjectPrompt& prompt, int64_t height, int64_t width, bool is_correction) {
  if (prompt.id < 1 || prompt.id > 255) {
    return "id: expected one from 1 to 255, found " + std::to_string(prompt.id);
  }
  if (!prompt.mask.defined() && !prompt.needs_refiner())
    return "expected a box, a point or a mask, found none";
  std::string fault;
  if (prompt.mask.defined()) fault = fault_of_mask(prompt.mask, height, width);
  if (fault.empty() && prompt.box) fault = fault_of_box(*prompt.box, height, width);
  for (const PromptPoint& point : prompt.points) {
    if (fault.empty()) fault = fault_of_point(point, height, width);
  }
  const bool is_placed = prompt.box || prompt.mask.defined() || is_correction ||
                         std::ranges::any_of(prompt.points, &PromptPoint::is_object);
  if (fault.empty() && !is_placed) {
    fault = "point: expected at least one on the object, found only points beside it";
  }
  return fault;
}

std::vector<ObjectPrompt> mask_prompts(const at::Tensor& label_mask) {
  std::vector<ObjectPrompt> prompts;
  for (const int64_t id : label_ids(label_mask)) {
    ObjectPrompt& prompt = prompts.emplace_back();
    prompt.id = id;
    prompt.mask = label_mask.eq(id);
  }
  return prompts;
}

const char* to_string(PromptEdit::Action action) {
  switch (action) {
    case PromptEdit::Action::kAdd:
      return "add";
    case PromptEdit::Action::kCorrect:
      return "correct";
    case PromptEdit::Action::kRemove:
      break;
  }
  return "remove";
}

}  // namespace hqtrack
