#include "train/refiner_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <vector>

namespace hqtrack {
namespace {

/// The largest value at most so many cells away, along one axis after the other.
at::Tensor grown(const at::Tensor& map, int64_t cells) {
  const int64_t size = 2 * cells + 1;
  return at::max_pool2d(at::max_pool2d(map, {1, size}, 1, {0, cells}), {size, 1}, 1, {cells, 0});
}

}  // namespace

at::Tensor cell_weights(const at::Tensor& targets) {
  constexpr double kEverywhere = 0.15, kNear = 1, kEdge = 3;
  constexpr int64_t kNearCells = 8;
  const at::Tensor near = grown(targets, kNearCells).gt(0).to(at::kFloat);
  const at::Tensor edge = (grown(targets, 1) + grown(-targets, 1)).gt(0.05).to(at::kFloat);
  return kEverywhere + kNear * near + kEdge * edge;
}

at::Tensor mask_loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& cell_weights) {
  const at::Tensor weights = cell_weights.flatten(1);
  const at::Tensor entropy =
      at::binary_cross_entropy_with_logits(logits, targets, {}, {}, at::Reduction::None).flatten(1);
  const at::Tensor p = at::sigmoid(logits).flatten(1), t = targets.flatten(1);
  const at::Tensor dice = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1);
  return 2 * (entropy * weights).sum(1) / weights.sum(1) + dice;
}

at::Tensor mask_ious(const at::Tensor& logits, const at::Tensor& targets) {
  const at::Tensor found = logits.gt(0).flatten(1), truth = targets.gt(0.5).flatten(1);
  const at::Tensor both = found.logical_and(truth).sum(1), either = found.logical_or(truth).sum(1);
  return (both.to(at::kFloat) + 1e-6) / (either.to(at::kFloat) + 1e-6);
}

RefinerLoss refiner_loss(const RawMasks& masks, const at::Tensor& targets, const MaskWeights& weights) {
  const auto sam = [&](int64_t i) { return masks.sam.narrow(1, i, 1); };
  const auto given_out = [&](int64_t i) { return masks.hq.defined() ? sam(i) + masks.hq : sam(i); };
  const at::Tensor cells = cell_weights(targets);
  const auto loss_of = [&](const at::Tensor& logits) { return mask_loss(logits, targets, cells); };
  at::Tensor loss = at::zeros({targets.size(0)}, targets.options());
  if (weights.sum > 0) loss = loss + weights.sum * loss_of(given_out(0));
  if (weights.single > 0) loss = loss + weights.single * loss_of(sam(0));
  if (masks.hq.defined()) loss = loss + weights.hq * loss_of(masks.hq);
  if (weights.best > 0 || weights.mean > 0) {
    std::vector<at::Tensor> each;
    for (int64_t i = 1; i < masks.sam.size(1); ++i) each.push_back(loss_of(sam(i)));
    const at::Tensor all = at::stack(each, 1);  // [B, 3]
    loss = loss + weights.best * all.amin(1) + weights.mean * all.mean(1);
  }
  std::vector<at::Tensor> ious;
  for (int64_t i = 0; i < masks.sam.size(1); ++i) ious.push_back(mask_ious(given_out(i).detach(), targets));
  const at::Tensor errors = (masks.predicted_ious - at::stack(ious, 1)).square().mean(1);

  RefinerLoss result;
  result.total = (loss + weights.predicted_iou * errors).sum();
  result.masks = loss.detach().sum().item<double>();
  result.estimate = errors.detach().sum().item<double>();
  result.iou = ious.front().sum().item<double>();
  return result;
}

}  // namespace hqtrack
