#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "eval/vot_region.h"

namespace hqtrack {

/// One region a frame, as the VOT toolkit keeps them for each object.
using VotTrajectory = std::vector<VotRegion>;

/// Reads STEM.txt (a region a line) or STEM.bin (the toolkit's own format); the text where both are there.
/// Throws MediaError naming file and line, or frame: neither is there, or it is damaged.
VotTrajectory read_vot_trajectory(const std::filesystem::path& stem);
/// Annotations: the same of one text file.
VotTrajectory read_vot_text(const std::filesystem::path& file);

/// Writes the toolkit's binary format. Throws OutputError naming the file, also for a mask that the format
/// cannot hold (more than 65,535 runs, or a box beyond 16 bits).
void write_vot_trajectory(const std::filesystem::path& file, const VotTrajectory& trajectory);

/// FILE.value: one number a frame; the line stays empty where there is none.
void write_vot_values(const std::filesystem::path& file, const std::vector<std::string>& values);

}  // namespace hqtrack
