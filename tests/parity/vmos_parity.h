#pragma once

#include <filesystem>

#include "tests/parity/report.h"

namespace hqtrack::parity {

/// Runs every case of a folder laid out as golden/vmos: the published network with weights by the folder's
/// rule.
void check_vmos(const std::filesystem::path& folder, Report& report);

/// Runs every case of a folder laid out as models/nano_seed: config.json, weights, golden/.
void check_nano(const std::filesystem::path& folder, Report& report);

}  // namespace hqtrack::parity
