#pragma once

#include <filesystem>

#include "tests/parity/report.h"

namespace hqtrack::parity {

/// Runs every case of a folder laid out as golden/hqsam: HQ-SAM of every variant in it, with weights by the
/// rule, and everything around the network.
void check_hq_sam(const std::filesystem::path& folder, Report& report);

/// Runs every case of a folder laid out as models/nano_refiner_seed: config.json, weights, golden/.
void check_nano_refiner(const std::filesystem::path& folder, Report& report);

}  // namespace hqtrack::parity
