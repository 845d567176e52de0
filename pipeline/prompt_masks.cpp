#include "pipeline/prompt_masks.h"

#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <string>

#include "core/label_mask.h"
#include "core/log.h"

namespace hqtrack {
namespace {

using Action = PromptEdit::Action;

[[noreturn]] void fail(std::span<const PromptEdit> edits, size_t i, const std::string& message) {
  throw PromptError(i, "object " + std::to_string(edits[i].prompt.id) + ": " + message);
}

void check(std::span<const PromptEdit> edits, const std::vector<int64_t>& known, int64_t height,
           int64_t width) {
  std::array<int, 256> count{};
  for (size_t i = 0; i < edits.size(); ++i) {
    const auto& [action, prompt] = edits[i];
    const bool is_known = std::ranges::binary_search(known, prompt.id);
    if (action == Action::kAdd && is_known)
      fail(edits, i, "add: expected a new id, found one that is tracked already");
    if (action != Action::kAdd && !is_known) {
      fail(edits, i,
           std::string(to_string(action)) + ": expected an object that is tracked, found none with this id");
    }
    if (action != Action::kRemove) {
      const std::string fault = fault_of(prompt, height, width, action == Action::kCorrect);
      if (!fault.empty()) fail(edits, i, fault);
    }
    if (++count[prompt.id] > 1) fail(edits, i, "expected one prompt in a frame, found several");
  }
}

/// Whether points that correct an object mean the mask it has: all of those on the object lie within a tenth
/// of its box's longer edge around the box.
bool means_mask(const ObjectPrompt& prompt, const Region& region) {
  if (region.area_px == 0 || prompt.box || prompt.mask.defined()) return false;
  const Box& box = region.box;
  const double margin = 0.1 * static_cast<double>(std::max(box.x1 - box.x0, box.y1 - box.y0));
  return std::ranges::all_of(prompt.points, [&](const PromptPoint& point) {
    return !point.is_object || (point.x >= static_cast<double>(box.x0) - margin &&
                                point.x < static_cast<double>(box.x1) + margin &&
                                point.y >= static_cast<double>(box.y0) - margin &&
                                point.y < static_cast<double>(box.y1) + margin);
  });
}

std::vector<ObjectPrompt> prompts_to_make(std::span<const PromptEdit> edits, const at::Tensor& label_mask) {
  const std::array<Region, 256> regions = label_regions(label_mask);
  std::vector<ObjectPrompt> prompts;
  for (size_t i = 0; i < edits.size(); ++i) {
    const auto& [action, prompt] = edits[i];
    if (action == Action::kRemove || !prompt.needs_refiner()) continue;
    ObjectPrompt& asked = prompts.emplace_back(prompt);
    if (action == Action::kCorrect && means_mask(prompt, regions[prompt.id])) {
      asked.mask = label_mask.eq(prompt.id);
    }
    if (!fault_of(asked, label_mask.size(0), label_mask.size(1)).empty()) {
      fail(edits, i,
           "point: expected one on the object, which has no mask here, found only points beside it");
    }
  }
  return prompts;
}

/// A network may not do what it is told.
void warn_of_missed_points(const ObjectPrompt& prompt, const at::Tensor& logits) {
  for (const PromptPoint& point : prompt.points) {
    const auto x = static_cast<int64_t>(point.x), y = static_cast<int64_t>(point.y);
    if ((logits[y][x].item<float>() > 0) == point.is_object) continue;
    log_warning("object " + std::to_string(prompt.id) + ": the mask that was found " +
                (point.is_object ? "does not hold the point " : "holds the point beside it, ") +
                std::to_string(x) + "," + std::to_string(y));
  }
}

}  // namespace

PromptMasks place_prompts(std::span<const PromptEdit> edits, const std::vector<int64_t>& known,
                          const at::Tensor& label_mask, const Segment& segment) {
  check(edits, known, label_mask.size(0), label_mask.size(1));
  PromptMasks result{.label_mask = label_mask.clone()};
  at::Tensor& labels = result.label_mask;
  const std::vector<ObjectPrompt> to_make = prompts_to_make(edits, label_mask);
  for (const auto& [action, prompt] : edits) {
    if (action != Action::kAdd) labels.masked_fill_(labels.eq(prompt.id), 0);
  }
  if (!to_make.empty()) {
    at::Tensor surest = at::full(labels.sizes(), 0.0, at::kFloat);  // logits; above 0 = object
    const std::vector<MaskProposal> all_made = segment(to_make);
    for (size_t i = 0; i < all_made.size(); ++i) warn_of_missed_points(to_make[i], all_made[i].logits);
    for (const MaskProposal& made : all_made) {
      const at::Tensor is_surer = made.logits.gt(surest), is_object = made.logits.gt(0);
      if (is_object.any().item<bool>()) {
        result.scores[made.id] = made.logits.masked_select(is_object).sigmoid().mean().item<double>();
      }
      labels.masked_fill_(is_surer, made.id);
      surest = at::where(is_surer, made.logits, surest);
    }
  }
  for (const auto& [action, prompt] : edits) {
    if (action == Action::kRemove || prompt.needs_refiner()) continue;
    labels.masked_fill_(prompt.mask, prompt.id);
    result.scores[prompt.id] = 1.0;
  }
  const std::array<Region, 256> regions = label_regions(labels);
  for (size_t i = 0; i < edits.size(); ++i) {
    if (edits[i].action == Action::kRemove || regions[edits[i].prompt.id].area_px > 0) continue;
    fail(edits, i, "expected an object where the prompt points, found none");
  }
  return result;
}

}  // namespace hqtrack
