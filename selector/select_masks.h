#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/config.h"
#include "core/frame.h"

namespace hqtrack {

struct Verdict {
  int64_t id = 0;
  Choice choice = Choice::kSkipped;
  double iou = 0.0;  // of the refined and the tracked mask; 0 when skipped
};

struct Selection {
  at::Tensor label_mask;          // uint8 [H, W]
  std::vector<Verdict> verdicts;  // of every id in the tracked mask, ascending
};

/// Chooses between the masks of the tracker and proposals for some of its objects, and lays them over each
/// other (HQTrack, "Mask refiner"; docs/hqsam.md, section 8). label_mask: uint8 [H, W] on the CPU. Proposals
/// of ids that are not in it are not looked at.
///
/// Where masks overlap: a pixel the tracker gave to an object that was kept or skipped stays with it; of
/// refined masks the one with the highest logit gets it, of equals the lowest id. `compatibility: reference`:
/// the first of the overlapping objects, by its place among the values of the label mask, which is written in
/// place of its id.
Selection select_masks(const at::Tensor& label_mask, const std::vector<MaskProposal>& proposals,
                       const SelectorConfig& config);

}  // namespace hqtrack
