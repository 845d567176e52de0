#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/frame.h"
#include "core/prompt.h"

namespace hqtrack {

struct PromptMasks {
  at::Tensor label_mask;             // uint8 [H, W], contiguous
  std::array<double, 256> scores{};  // by id: 1 for a given mask, the mean probability over one that was made
};

/// Makes masks of prompts (Refiner::segment).
using Segment = std::function<std::vector<MaskProposal>(std::span<const ObjectPrompt>)>;

/// Changes a label mask (uint8 [H, W], CPU) as edits of one frame ask for it. Removed and corrected objects
/// lose their pixels first. Then come the masks that `segment` makes, the surer one where they overlap; over
/// them the given ones, later ones on top. known: ids of the objects there are, ascending. Throws PromptError
/// for a prompt that does not fit, an id that is known or unknown where it must not be or is there twice, and
/// an object of which no pixel is found.
PromptMasks place_prompts(std::span<const PromptEdit> edits, const std::vector<int64_t>& known,
                          const at::Tensor& label_mask, const Segment& segment);

}  // namespace hqtrack
