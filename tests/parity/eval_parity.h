#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/parity/report.h"

namespace hqtrack::parity {

/// How far measures may lie from those of the official programs.
constexpr double kTolerance = 1e-6;

nlohmann::json read_json(const std::filesystem::path& file);

/// Runs every case of a folder laid out as golden/vots: results of trackers and what the VOT toolkit measured
/// on them, and, where they are there, pairs of regions and a recorded dialogue.
void check_vots(const std::filesystem::path& folder, Report& report);

/// Runs every case of a folder laid out as golden/davis_metrics: masks and what the official programs
/// measured.
void check_davis(const std::filesystem::path& folder, Report& report);

}  // namespace hqtrack::parity
