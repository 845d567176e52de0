#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/frame.h"
#include "core/layers.h"
#include "core/prompt.h"
#include "refiner/hq_sam.h"

namespace hqtrack {

/// The box without what lies beyond the picture.
PromptBox clipped(const PromptBox& box, GridSize picture);

/// Outer box of a prompt's own box, or else of its mask, and of its points on the object; empty for a mask
/// without pixels and no such points.
std::optional<PromptBox> outer_box(const ObjectPrompt& prompt);

/// The prompt as seen in a part of the picture; points outside are left out.
ObjectPrompt seen_in(const Box& part, const ObjectPrompt& prompt);

/// Prompts that all have the same form, as the network takes them, in pixels of the embedded picture.
Prompts to_prompts(std::span<const ObjectPrompt> prompts, const ImageEmbedding& image);

/// Positions of prompts that have the same form (box, mask, number of points), so that the decoder takes them
/// together; at most `most` in one list.
std::vector<std::vector<size_t>> same_form(std::span<const ObjectPrompt> prompts, size_t most);

}  // namespace hqtrack
