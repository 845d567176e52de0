#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "core/config.h"
#include "core/frame.h"
#include "core/prompt.h"
#include "tracker/vmos.h"

namespace hqtrack {

/// Replaces masks that were made of boxes and points by what the tracker finds when it is shown the same
/// picture again with such a mask as its reference (docs/hqsam.md, section 9): pixels that look unlike their
/// likes change sides. Left as they are: proposals whose prompt has a mask of its own, empty ones, and those
/// of which the tracker finds something else. image: uint8 RGB [H, W, 3]; prompts: one for each proposal, in
/// the same order.
void look_again(Vmos network, const TrackerConfig& config, const at::Tensor& image,
                std::span<const ObjectPrompt> prompts, std::vector<MaskProposal>& proposals);

}  // namespace hqtrack
