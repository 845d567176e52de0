#include "selector/select_masks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/label_mask.h"
#include "selector/mask_iou.h"

namespace hqtrack {
namespace {

// One object's mask, chosen.
struct Claim {
  int64_t id = 0;
  at::Tensor mask;    // bool [H, W]
  at::Tensor logits;  // float [H, W], contiguous; undefined for a tracked mask
};

at::Tensor merge(const at::Tensor& label_mask, const std::vector<Claim>& claims) {
  at::Tensor merged = at::zeros_like(label_mask);
  at::Tensor highest = at::zeros(label_mask.sizes(), at::kFloat);
  uint8_t* const ids = merged.mutable_data_ptr<uint8_t>();
  float* const best = highest.mutable_data_ptr<float>();
  for (const Claim& claim : claims) {
    if (!claim.logits.defined()) continue;
    const float* const logits = claim.logits.const_data_ptr<float>();
    for (int64_t i = 0; i < merged.numel(); ++i) {
      if (logits[i] <= best[i]) continue;
      best[i] = logits[i];
      ids[i] = static_cast<uint8_t>(claim.id);
    }
  }
  for (const Claim& claim : claims) {
    if (!claim.logits.defined()) merged.masked_fill_(claim.mask, claim.id);
  }
  return merged;
}

at::Tensor merge_as_published(const at::Tensor& label_mask, const std::vector<Claim>& claims) {
  at::Tensor merged = at::zeros_like(label_mask), num_claims = at::zeros_like(label_mask);
  // Background has a place of its own, where there is any.
  uint8_t place = label_mask.eq(0).any().item<bool>() ? 1 : 0;
  at::Tensor first = at::zeros_like(label_mask);
  for (const Claim& claim : claims) {
    first.masked_fill_(claim.mask.logical_and(num_claims == 0), place++);
    merged.masked_fill_(claim.mask, claim.id);
    num_claims += claim.mask;
  }
  return merged.where(num_claims <= 1, first);
}

}  // namespace

Selection select_masks(const at::Tensor& label_mask, const std::vector<MaskProposal>& proposals,
                       const SelectorConfig& config) {
  const at::Tensor tracked = label_mask.contiguous();
  Selection selection;
  std::vector<Claim> claims;
  for (const int64_t id : label_ids(tracked)) {
    Claim& claim = claims.emplace_back(Claim{id, tracked.eq(id), {}});
    Verdict& verdict = selection.verdicts.emplace_back(Verdict{.id = id});
    const auto proposal = std::ranges::find(proposals, id, &MaskProposal::id);
    if (proposal == proposals.end()) continue;
    TORCH_CHECK(proposal->logits.sizes() == tracked.sizes(), "selector: expected logits of ", tracked.sizes(),
                ", found ", proposal->logits.sizes());
    const at::Tensor refined = proposal->logits > 0;
    verdict.iou = mask_iou(refined, claim.mask);
    verdict.choice = verdict.iou < config.iou_threshold ? Choice::kKept : Choice::kRefined;
    if (verdict.choice == Choice::kRefined) claim = {id, refined, proposal->logits.contiguous()};
  }
  selection.label_mask =
      config.compatibility == "reference" ? merge_as_published(tracked, claims) : merge(tracked, claims);
  return selection;
}

}  // namespace hqtrack
