#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "core/config.h"
#include "io/frame_sink.h"
#include "io/frame_source.h"

namespace hqtrack {

/// Throws OutputError when no container goes with the extension.
void check_video_output(const std::filesystem::path& file);

/// Overlay video; container by extension (.mp4 .mov .mkv .webm). Keeps the timestamps of the frames and
/// copies the audio of `source.url` for the part that is tracked (audio that the container cannot hold is
/// re-encoded or left out with a warning). Written fragment by fragment to FILE.part.EXT, renamed when
/// complete; what an interrupted run leaves is playable.
std::unique_ptr<FrameSink> open_video_sink(const std::filesystem::path& file, const VideoInfo& source,
                                           const OverlayConfig& overlay, const EncodeConfig& encode);

/// Palette PNG masks 00000.png, 00001.png ... (index = object id, DAVIS palette), one a frame, each written
/// under a temporary name first. Creates the folder; with the first mask, numbered palette PNGs that are in
/// it already are removed.
std::unique_ptr<FrameSink> open_mask_sink(const std::filesystem::path& folder);

/// NDJSON, one line a frame:
/// {"index":0,"pts":0.033367,"objects":[{"id":1,"name":"box","box":[x0,y0,x1,y1],"area":123,"score":0.98,"state":"tracked"}]}
/// pts in seconds; box null when lost. Of a live source also {"event":"outage","pts":12.5,"reason":"no data
/// for 5.0 s"},
/// {"event":"resumed","pts":19.1,"seconds":6.6,"attempts":3},
/// {"event":"size_changed","pts":..,"reason":"1280x720"}.
/// "-" is standard output; each line is flushed.
std::unique_ptr<FrameSink> open_event_sink(const std::string& file_or_dash);

}  // namespace hqtrack
