#pragma once

#include <ATen/core/Tensor.h>

#include "refiner/hq_mask_decoder.h"

namespace hqtrack {

/// How much each mask of the decoder counts.
struct MaskWeights {
  double sum = 1;            // first SAM mask plus HQ mask: what the refiner gives out
  double hq = 0.5;           // HQ mask alone
  double single = 0.5;       // first SAM mask alone
  double best = 0.25;        // the best of the three SAM masks for ambiguous prompts
  double mean = 0.05;        // all three of them
  double predicted_iou = 2;  // squared error of the network's own estimate
};

/// How much each cell counts: 0.15, near the object 1 more, on its edge 3 more. targets float [B, 1, h, w] at
/// stride 4, the part of each cell inside -> the same shape.
at::Tensor cell_weights(const at::Tensor& targets);

/// Twice a cross entropy with these weights plus dice 1 - (2 sum p t + 1) / (sum p + sum t + 1). All float
/// [B, 1, h, w] -> [B].
at::Tensor mask_loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& cell_weights);

/// IoU of logits > 0 with targets > 0.5, each [B, 1, h, w] -> [B].
at::Tensor mask_ious(const at::Tensor& logits, const at::Tensor& targets);

/// The loss of all masks of B prompts, summed over the prompts.
struct RefinerLoss {
  at::Tensor total;                // scalar, to be minimised
  double masks = 0, estimate = 0;  // masks: all of `total` but the error of the estimate, before its weight
  double iou = 0;                  // of the mask that the refiner would give out
};

/// The estimate of each SAM mask is compared with the IoU of what the refiner would make of it: with an HQ
/// branch the mask plus the HQ mask. Without an HQ branch its terms are left out.
RefinerLoss refiner_loss(const RawMasks& masks, const at::Tensor& targets, const MaskWeights& weights);

}  // namespace hqtrack
