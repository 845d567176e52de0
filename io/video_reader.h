#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "io/deinterlacer.h"
#include "io/frame_clock.h"
#include "io/frame_source.h"
#include "io/rgb_converter.h"
#include "io/video_decoder.h"

namespace hqtrack {

/// Frames of whatever FFmpeg demuxes and decodes: file, URL or pipe. Times count from the start of the
/// container, so a video that starts after its audio keeps that delay. Frames of another size than the first
/// are scaled to it.
class VideoReader : public FrameSource {
 public:
  /// Reads up to the first frame. Throws MediaError as `open_source` says.
  VideoReader(const std::string& url, const SourceConfig& config);

  const VideoInfo& info() const override { return info_; }
  std::optional<Frame> read() override;
  /// Of the picture read last, as it is shown, before it is scaled to `SourceConfig::frame_size`.
  FrameSize stream_size() const;

 private:
  void start();
  AvFramePtr next_picture();
  std::optional<Frame> next_frame();
  void fill_info(const AVFrame& first);
  int64_t picture_us(const AVFrame& frame) const;

  std::string url_, shown_url_;
  SourceConfig config_;
  VideoInfo info_;
  std::unique_ptr<VideoDecoder> decoder_;
  std::unique_ptr<Deinterlacer> deinterlacer_;
  RgbConverter converter_;
  FrameClock clock_;
  Orientation orientation_;
  int coded_height_ = 0, coded_width_ = 0;  // of the frame read last, before turning
  int height_ = 0, width_ = 0;              // of the frames given, before turning
  bool is_drained_ = false;                 // the decoder has no more
  bool has_warned_size_ = false;
  std::exception_ptr damage_;  // told when the pictures before it are out
  int64_t num_read_ = 0;
  AvFramePtr held_;            // a picture read and not looked at yet
  std::optional<Frame> next_;  // frame that `read` gives next, where known
};

}  // namespace hqtrack
