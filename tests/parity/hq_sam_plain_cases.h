#pragma once

#include "tests/parity/hq_sam_folder.h"

namespace hqtrack::parity {

/// The rule itself, by the check values of weight_rule_check.json, if the folder has them.
void check_weight_rule(const HqSamFolder& golden, Report& report);

/// Boundary IoU.
void check_boundary(HqSamFolder& golden, const HqSamFolder::Manifest& manifest, Report& report);

/// The network's input, the resize bit by bit.
void check_preprocess(HqSamFolder& golden, const HqSamFolder::Manifest& manifest, Report& report);

}  // namespace hqtrack::parity
