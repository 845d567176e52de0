#pragma once

#include <ATen/core/Tensor.h>

namespace hqtrack {

/// uint8 or int64 labels [B, H, W] as float [B, num_classes, H, W]. 255 (not known) counts as background.
at::Tensor one_hot_labels(const at::Tensor& labels, int64_t num_classes);

/// Sets the logits [B, C, h, w] of classes that are not `valid` (bool [B, C]) so low that they win nowhere.
at::Tensor mask_classes(const at::Tensor& logits, const at::Tensor& valid);

/// Half cross entropy over the `hard_ratio` (0..1] of pixels of each clip that cost most, half soft Jaccard
/// 1 - (sum p g + 1) / (sum (p + g - p g) + 1), mean over the valid classes of each clip (Yang et al., AOT;
/// docs/vmos.md, section 9). logits float [B, C, H, W]; labels int64 [B, H, W], 255 = not counted; valid bool
/// [B, C]. Returns a scalar, mean over the clips.
at::Tensor segmentation_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& valid,
                             double hard_ratio);

/// Shares of each class in the cells of a stride-`stride` grid: mean over windows of stride + 1 pixels
/// centred on the cells. one_hot [B, C, H, W], edges 16 k + 1 -> [B, cells, C].
at::Tensor label_shares(const at::Tensor& one_hot, int64_t stride);

/// How badly an attention map carries labels from memory to this frame: cross entropy between carried and
/// true shares [B, cells, C], foreground weighted up to half of the total.
at::Tensor carried_label_loss(const at::Tensor& carried, const at::Tensor& shares);

/// Mean intersection over union of one frame's prediction with the truth, over the objects of all clips that
/// show more than `least_px` pixels; -1 when there is none. predicted, labels int64 [B, H, W]; 255 in labels
/// is left out.
double mean_object_iou(const at::Tensor& predicted, const at::Tensor& labels, int64_t num_classes,
                       int64_t least_px);

}  // namespace hqtrack
