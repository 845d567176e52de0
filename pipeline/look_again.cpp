#include "pipeline/look_again.h"

#include <ATen/ops/where.h>

#include "selector/mask_iou.h"
#include "tracker/tracker.h"

namespace hqtrack {
namespace {

constexpr double kLeastIou = 0.5;       // with the mask before, or it is something else
constexpr double kBarelyObject = 1e-3;  // logit of a pixel that changed sides

}  // namespace

void look_again(Vmos network, const TrackerConfig& config, const at::Tensor& image,
                std::span<const ObjectPrompt> prompts, std::vector<MaskProposal>& proposals) {
  for (size_t i = 0; i < proposals.size(); ++i) {
    at::Tensor& logits = proposals[i].logits;
    const at::Tensor made = logits.gt(0);
    if (prompts[i].mask.defined() || !made.any().item<bool>()) continue;
    Tracker tracker(network, config);
    tracker.start(image, made.to(at::kByte));
    const at::Tensor seen = tracker.track(image).label_mask.eq(1);
    if (mask_iou(seen, made) < kLeastIou) continue;
    logits = at::where(seen, logits.clamp_min(kBarelyObject), logits.clamp_max(-kBarelyObject));
  }
}

}  // namespace hqtrack
