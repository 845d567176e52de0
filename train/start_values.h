#pragma once

#include <ATen/core/Tensor.h>

#include "tracker/vmos.h"

namespace hqtrack {

/// Gives everything but the encoder values from which a VMOS tracks, badly, before its first step
/// (docs/training.md, section "Start values"): queries meet keys of like features, identities ride through
/// the attention unchanged, gates are open. The rest is random (torch's generator). images: [N, 3, H, W],
/// normalised; the spread of the encoder's features is measured on them.
void set_start_values(Vmos& network, const TrackerConfig& config, const at::Tensor& images);

}  // namespace hqtrack
