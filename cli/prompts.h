#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/prompt.h"
#include "io/frame_source.h"
#include "io/prompt_file.h"

namespace hqtrack {

/// Reads the masks, brings them to the size of the video (with a warning where that changes them), gives ids
/// to objects without one, and checks each prompt against the video and those before it. names: by id, of
/// objects that have none of their own.
///
/// Throws UsageError or MediaError naming the place of the entry: masks that cannot be read, boxes and points
/// outside the picture, moments behind the end of the video, unknown objects, ids that are taken.
std::vector<TimedPrompt> resolve_prompts(const std::vector<PromptEntry>& entries,
                                         const std::map<int64_t, std::string>& names, const VideoInfo& video);

/// The objects of one entry, a mask at the size of the video; id 0 where the next free one is to be taken.
/// Throws as above for what is wrong with the mask or its name.
std::vector<ObjectPrompt> object_prompts(const PromptEntry& entry, const VideoInfo& video);

/// "frame 12" or "4.5 s".
std::string to_text(const Moment& at);

}  // namespace hqtrack
