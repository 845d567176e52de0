#include "train/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <c10/util/Exception.h>

#include <algorithm>

namespace hqtrack {
namespace {

constexpr int64_t kUnknown = 255;

}  // namespace

at::Tensor one_hot_labels(const at::Tensor& labels, int64_t num_classes) {
  const at::Tensor known = labels.to(at::kLong).masked_fill(labels == kUnknown, 0);
  return at::one_hot(known, num_classes).movedim(-1, 1).to(at::kFloat).contiguous();
}

at::Tensor mask_classes(const at::Tensor& logits, const at::Tensor& valid) {
  return logits.masked_fill(valid.logical_not().unsqueeze(-1).unsqueeze(-1), -1e4);
}

at::Tensor segmentation_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& valid,
                             double hard_ratio) {
  TORCH_CHECK(logits.dim() == 4 && labels.dim() == 3 && logits.size(2) == labels.size(1) &&
                  logits.size(3) == labels.size(2) && hard_ratio > 0 && hard_ratio <= 1,
              "segmentation_loss: expected logits and labels of one size and a ratio in (0, 1], found ",
              logits.sizes(), ", ", labels.sizes(), " and ", hard_ratio);
  const at::Tensor masked = mask_classes(logits, valid);
  at::Tensor entropy =
      at::cross_entropy_loss(masked, labels, /*weight=*/{}, at::Reduction::None, kUnknown).flatten(1);
  if (hard_ratio < 1) {
    const int64_t count = std::max<int64_t>(1, static_cast<int64_t>(entropy.size(1) * hard_ratio));
    entropy = std::get<0>(at::topk(entropy, count, 1, /*largest=*/true, /*sorted=*/false));
  }

  const at::Tensor known = (labels != kUnknown).unsqueeze(1).to(masked.scalar_type());
  const at::Tensor p = at::softmax(masked, 1) * known;
  const at::Tensor g = one_hot_labels(labels, logits.size(1)) * known;
  const at::Tensor product = (p * g).flatten(2).sum(2), sum = p.flatten(2).sum(2) + g.flatten(2).sum(2);
  const at::Tensor jaccard = 1 - (product + 1) / (sum - product + 1);
  const at::Tensor weight = valid.to(masked.scalar_type());
  const at::Tensor per_clip = (jaccard * weight).sum(1) / weight.sum(1);
  return 0.5 * entropy.mean() + 0.5 * per_clip.mean();
}

at::Tensor label_shares(const at::Tensor& one_hot, int64_t stride) {
  return at::avg_pool2d(one_hot, stride + 1, stride, stride / 2, /*ceil_mode=*/false,
                        /*count_include_pad=*/false)
      .flatten(2)
      .transpose(1, 2)
      .contiguous();
}

at::Tensor carried_label_loss(const at::Tensor& carried, const at::Tensor& shares) {
  const at::Tensor entropy = -(shares * (carried + 2e-3).log()).sum(-1);  // [B, cells]
  const at::Tensor foreground = (shares.select(-1, 0) < 0.5).to(carried.scalar_type());
  const at::Tensor rarity = foreground.mean(1, /*keepdim=*/true).clamp_min(0.03);
  const at::Tensor weight = 1 + foreground * (1 / rarity - 1) * 0.5;
  return (entropy * weight).sum() / weight.sum();
}

double mean_object_iou(const at::Tensor& predicted, const at::Tensor& labels, int64_t num_classes,
                       int64_t least_px) {
  const at::Tensor known = labels != kUnknown;
  double total = 0;
  int64_t count = 0;
  for (int64_t slot = 1; slot < num_classes; ++slot) {
    const at::Tensor truth = labels == slot, found = (predicted == slot).logical_and(known);
    const at::Tensor truth_px = truth.flatten(1).sum(1).cpu();
    const at::Tensor both = truth.logical_and(found).flatten(1).sum(1).cpu();
    const at::Tensor either = truth.logical_or(found).flatten(1).sum(1).cpu();
    for (int64_t b = 0; b < labels.size(0); ++b) {
      if (truth_px[b].item<int64_t>() <= least_px) continue;
      total += both[b].item<double>() / either[b].item<double>();
      ++count;
    }
  }
  return count > 0 ? total / static_cast<double>(count) : -1;
}

}  // namespace hqtrack
