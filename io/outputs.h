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

/// The same in files of `segment_us` each, NAME-20261122T114500.EXT after the local time at which they begin
/// (a name with a '%' is a pattern for strftime itself). A file that cannot be written, or not be made, is
/// reported (log, and `events`), and the next one is tried after a pause. Throws OutputError when none can be
/// made at first, and without `events` (null: the source waits) when one cannot be written.
std::unique_ptr<FrameSink> open_segmented_sink(const std::filesystem::path& file, int64_t segment_us,
                                               const VideoInfo& source, const OverlayConfig& overlay,
                                               const EncodeConfig& encode,
                                               std::shared_ptr<StreamEvents> events);

/// For people: rec-*.mp4, or the pattern.
std::string segment_names(const std::filesystem::path& file);

/// Whether an output is seen while it comes: an address (rtsp, rtsps, rtmp, udp, srt, tcp), standard output
/// ("-") or a playlist (.m3u8).
bool is_stream_output(const std::string& target);

/// What becomes of an output that is there already: it is replaced when the new one is complete, or goes on.
enum class ExistingOutput { kReplace, kAppend };

/// Overlay video to a server or viewer: RTSP (as publisher), RTMP, MPEG-TS over udp, srt, tcp or standard
/// output; or HLS, a playlist of the last six segments of a second beside it. Each picture goes out at once.
/// A playlist that is appended to goes on without an end, with new numbers for its segments.
/// A target that is lost is reported (log, and `events`) and tried again. Throws OutputError naming the
/// target, without credentials, when it cannot be opened at first; and when it is lost, of standard output,
/// and of a playlist without `events` (null: the source waits).
std::unique_ptr<FrameSink> open_stream_sink(const std::string& target, const VideoInfo& source,
                                            const OverlayConfig& overlay, const EncodeConfig& encode,
                                            std::shared_ptr<StreamEvents> events,
                                            ExistingOutput existing = ExistingOutput::kReplace);

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
/// {"event":"output_lost","pts":..,"output":"rtsp://..","reason":..} and
/// {"event":"output_resumed",..,"seconds":..,"attempts":..}. target: a file, "-" (standard output), or a
/// socket where somebody listens (tcp://HOST:PORT, unix:PATH). A socket that is lost, and with `events`
/// (which may be null) a file that cannot be written, is tried again, and that is told to `events`.
/// {"event":"segment_complete","pts":..,"output":FILE,"seconds":600.0} tells of a recording's files. Each
/// line is written at once and whole. Throws OutputError.
std::unique_ptr<FrameSink> open_event_sink(const std::string& target,
                                           std::shared_ptr<StreamEvents> events = nullptr,
                                           ExistingOutput existing = ExistingOutput::kReplace);

}  // namespace hqtrack
