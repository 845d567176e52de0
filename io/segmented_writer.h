#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "io/frame_sink.h"
#include "io/outputs.h"
#include "io/retry.h"
#include "io/video_writer.h"

namespace hqtrack {

/// Overlay video in files of a certain length; see `open_segmented_sink`. When a file cannot be written, what
/// there is of it stays playable under its temporary name, and the next one is tried after a pause.
class SegmentedWriter : public FrameSink {
 public:
  SegmentedWriter(const std::filesystem::path& file, int64_t segment_us, const VideoInfo& source,
                  const OverlayConfig& overlay, const EncodeConfig& encode,
                  std::shared_ptr<StreamEvents> events);

  void write(const TrackedFrame& frame) override;
  void finish() override;

 private:
  void open(int64_t start_us);
  void close(int64_t end_us);
  bool write_now(const TrackedFrame& frame);

  std::filesystem::path pattern_;
  int64_t segment_us_;
  VideoInfo source_;
  OverlayConfig overlay_;
  EncodeConfig encode_;
  std::shared_ptr<StreamEvents> events_;
  std::optional<Retry> retry_;           // of a source that does not wait
  std::unique_ptr<VideoWriter> writer_;  // of the segment in hand
  std::filesystem::path file_;
  int64_t start_us_ = 0, last_us_ = 0;
};

/// NAME-20261122T114500.EXT, in local time; a name with a '%' is a pattern for strftime itself. A name that
/// is taken gets a number.
std::filesystem::path segment_file(const std::filesystem::path& pattern, int64_t unix_seconds);

}  // namespace hqtrack
