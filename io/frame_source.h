#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/frame.h"
#include "io/stream_event.h"

namespace hqtrack {

/// In pixels.
struct FrameSize {
  int64_t height = 0, width = 0;
  bool operator==(const FrameSize&) const = default;
};

/// What is known of a video before its frames are read.
struct VideoInfo {
  std::string url;
  std::string format;  // container, FFmpeg's short name; "images" for a folder
  std::string codec;   // FFmpeg's name of the video codec
  std::string pixel_format;
  int64_t height = 0,
          width = 0;  // of the frames: rotation metadata is applied, the sample aspect ratio is not
  int64_t rate_num = 0, rate_den = 1;                  // average frame rate; 0 when unknown
  int64_t time_base_num = 1, time_base_den = 1000000;  // seconds per tick of the stream's own clock
  std::optional<int64_t>
      num_frames;                // of the part that will be read; an estimate when the container has no count
  bool has_exact_count = false;  // num_frames is no estimate
  std::optional<int64_t> duration_us;                // of the part that will be read
  int64_t start_us = 0;                              // pts of the first frame delivered is at or after this
  int rotation_degrees = 0;                          // clockwise, already applied to the frames
  int sample_aspect_num = 1, sample_aspect_den = 1;  // of the frames; 1:1 when unknown
  bool has_audio = false;
};

/// How a stream is followed that goes on while nobody reads (docs/streaming.md).
struct LiveConfig {
  std::string rtsp_transport = "tcp";    // or udp
  int64_t timeout_us = 5'000'000;        // without data: the connection is taken for lost
  int64_t max_latency_us = 500'000;      // from a frame's reception to its result; for who runs it
  std::optional<int64_t> max_outage_us;  // then the video ends with an error; empty: never
  std::shared_ptr<StreamEvents> events;  // may be null
};

/// What decodes video: software, NVDEC, VA-API, or whatever there is.
enum class VideoHardware { kNone, kCuda, kVaapi, kAuto };

struct SourceConfig {
  int64_t start_us = 0;                 // first frame at or after this time from the start of the video
  std::optional<int64_t> duration_us;   // stop before start_us + duration_us
  double image_rate = 24.0;             // frames a second of a folder or pattern of images
  std::stop_token interrupted = {};     // ends the video: also while a stream keeps us waiting
  std::optional<LiveConfig> live = {};  // the input is a live stream
  VideoHardware hardware = VideoHardware::kNone;
  std::optional<FrameSize> frame_size = {};  // frames are scaled to it; as the first one is shown where empty
};

/// Frames of a file, a URL, a pipe or a folder of images, in display order. Used by one thread.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  virtual const VideoInfo& info() const = 0;
  /// Next frame, RGB with the stream's colour matrix and range respected, deinterlaced, rotated as shown;
  /// empty at the end of the video. Throws MediaError when the stream is damaged or ends before its time:
  /// every frame before the damage was delivered by then.
  virtual std::optional<Frame> read() = 0;
  /// Frames that came and were not given by `read`, as nobody took them in time. Any thread.
  virtual int64_t num_dropped() const { return 0; }
};

/// Opens what `hqtrack track` takes as INPUT: a file FFmpeg reads, an http(s) URL, "-" (standard input), a
/// folder of images (in natural order of their names: 2 before 10) or a pattern such as frames/%05d.jpg or
/// frames/*.png; with config.live a stream. The first frame is read at once. Throws MediaError naming the
/// input, without credentials.
std::unique_ptr<FrameSource> open_source(const std::string& url, const SourceConfig& config = {});

}  // namespace hqtrack
