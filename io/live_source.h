#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "core/bounded_queue.h"
#include "io/frame_source.h"
#include "io/live_clock.h"
#include "io/video_reader.h"

namespace hqtrack {

/// A stream that goes on whether or not somebody reads. Frames are received by a thread of its own; when they
/// are not taken in time, the oldest are dropped, but for the very first one, in which objects were shown. A
/// connection that is lost, or silent for `LiveConfig::timeout_us`, is made anew, after growing pauses, until
/// `max_outage_us` is over: size and clock of the frames go on. What happens is published to
/// `LiveConfig::events`.
class LiveSource : public FrameSource {
 public:
  /// Connects and waits for the first frame. Throws MediaError where that fails. config.live is there.
  LiveSource(const std::string& url, const SourceConfig& config);
  ~LiveSource() override;

  const VideoInfo& info() const override { return info_; }
  /// Empty after an interruption, and at the end of standard input. Throws MediaError after an outage that
  /// was too long.
  std::optional<Frame> read() override;
  /// Frames received and not given by `read`.
  int64_t num_dropped() const override { return frames_.dropped(); }

 private:
  using Clock = std::chrono::steady_clock;
  std::unique_ptr<VideoReader> connect() const;
  void receive(std::unique_ptr<VideoReader> reader);
  std::optional<Frame> next_of(VideoReader& reader);
  std::string receive_all(VideoReader& reader);
  std::unique_ptr<VideoReader> reconnect(const std::string& reason);
  int64_t now_us() const;
  void publish(StreamEvent event) const;

  std::string url_, shown_url_;
  SourceConfig config_;  // its `interrupted` is `stop_`
  std::stop_source stop_;
  std::optional<std::stop_callback<std::function<void()>>> forward_;  // of the interruption
  VideoInfo info_;
  FrameSize stream_size_;
  Clock::time_point start_;
  LiveClock clock_;
  int64_t num_received_ = 0;    // in the constructor, then by the receiver
  std::optional<Frame> first_;  // until it is read
  BoundedQueue<Frame> frames_;
  std::exception_ptr failure_;  // set before the queue is closed
  std::jthread receiver_;       // last: it ends before the rest goes
};

}  // namespace hqtrack
