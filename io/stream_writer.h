#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/ffmpeg.h"
#include "io/frame_sink.h"
#include "io/frame_source.h"
#include "io/muxer_files.h"
#include "io/outputs.h"
#include "io/overlay.h"
#include "io/retry.h"
#include "io/video_encoder.h"

namespace hqtrack {

/// Overlay video that is seen while it comes; see `open_stream_sink`. A connection that is lost is made anew
/// by `write`, after growing pauses; frames in between are left out.
class StreamWriter : public FrameSink {
 public:
  /// Connects. Throws OutputError.
  StreamWriter(const std::string& target, const VideoInfo& source, const OverlayConfig& overlay,
               const EncodeConfig& encode, std::shared_ptr<StreamEvents> events, ExistingOutput existing);
  ~StreamWriter() override;

  void write(const TrackedFrame& frame) override;
  void finish() override;

 private:
  void open();
  bool write_now(const TrackedFrame& frame);
  void check(int result) const;

  std::string target_, shown_target_;
  ExistingOutput existing_;
  VideoInfo source_;
  EncodeConfig encode_;
  Overlay overlay_;
  std::optional<Retry> retry_;
  WaitGuard guard_;
  MuxerFiles files_;    // of a playlist
  AvOutputPtr format_;  // null while there is no connection
  std::unique_ptr<VideoEncoder> encoder_;
  AVStream* stream_ = nullptr;  // owned by format_
  bool has_written_ = false;    // through format_
  int64_t last_pts_ = 0;
};

}  // namespace hqtrack
