#pragma once

#include <filesystem>

#include "eval/vots_tracker.h"

namespace hqtrack {

/// The `folder` protocol of the VOT toolkit: reads frames_color.txt (a picture a line, from the folder) and
/// query_ID.txt of each object (its first frame, counted from 0, then its region), tracks, and writes
/// output_ID.txt (a region a frame, 0 before the first one) and output_ID_confidence.txt. Throws MediaError
/// naming the file, and OutputError.
void run_vots_folder(const std::filesystem::path& folder, VotsTracker& tracker);

}  // namespace hqtrack
