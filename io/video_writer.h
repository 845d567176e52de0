#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "io/audio_track.h"
#include "io/ffmpeg.h"
#include "io/frame_sink.h"
#include "io/output_file.h"
#include "io/outputs.h"
#include "io/overlay.h"
#include "io/video_encoder.h"

namespace hqtrack {

/// Overlay video with the source's audio; see `open_video_sink`. Times count from `source.start_us`, so that
/// a part of a video starts at 0. Matroska and WebM have a clock of milliseconds; the others keep the
/// source's. While it runs the file is fragmented (MP4, MOV) or clustered (Matroska, WebM) and playable up to
/// half a second and what the encoder holds back (about 25 frames); `finish` turns fragments into an ordinary
/// MP4 or MOV file with its index in front.
class VideoWriter : public FrameSink {
 public:
  VideoWriter(const std::filesystem::path& file, const VideoInfo& source, const OverlayConfig& overlay,
              const EncodeConfig& encode);
  ~VideoWriter() override;

  void write(const TrackedFrame& frame) override;
  void finish() override;

  /// Whether some of the video is in the file by now.
  bool has_written() const;

 private:
  struct Pending {
    at::Tensor image;
    int64_t pts = 0;
  };
  /// With the prompts of the last second, so that they can be seen.
  TrackedFrame with_recent_prompts(TrackedFrame frame);
  void open();
  void remove();  // what has no frames
  void encode_pending(int64_t duration);
  void write_packets(std::vector<AvPacketPtr> packets);
  void close();
  void check(int result) const;

  VideoInfo source_;
  OutputFile output_;
  Overlay overlay_;
  AvOutputPtr format_;
  std::unique_ptr<VideoEncoder> encoder_;
  std::unique_ptr<AudioTrack> audio_;
  AVStream* stream_ = nullptr;                                    // owned by format_
  std::vector<std::pair<int64_t, ObjectPrompt>> recent_prompts_;  // and their time, in microseconds
  std::optional<Pending> pending_;  // waits for the next frame, which tells its duration
  int64_t last_duration_ = 0;
  int64_t header_bytes_ = 0;
  bool has_frames_ = false;
};

}  // namespace hqtrack
