#pragma once

#include <cstdint>
#include <vector>

#include "cli/track_arguments.h"
#include "pipeline/track_stage.h"

namespace hqtrack {

/// Reads the mask files and brings them to the size of the video, with a warning where that changes them.
/// Throws MediaError naming the file when one cannot be read or shows no object.
std::vector<PromptMask> read_prompts(const std::vector<MaskArgument>& masks, int64_t height, int64_t width);

}  // namespace hqtrack
