#include "io/live_source.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/log_scope.h"
#include "io/network_url.h"
#include "io/retry.h"

namespace hqtrack {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMostFrames = 32;  // that wait for their reader

}  // namespace

LiveSource::LiveSource(const std::string& url, const SourceConfig& config)
    : url_(url),
      shown_url_(without_credentials(url)),
      config_(config),
      frames_(kMostFrames, FullQueuePolicy::kDropOldest) {
  config_.interrupted = stop_.get_token();
  forward_.emplace(config.interrupted, [this] { stop_.request_stop(); });
  std::unique_ptr<VideoReader> reader = connect();
  info_ = reader->info();
  info_.num_frames.reset();
  info_.duration_us.reset();
  info_.has_audio = false;  // it would have to be fetched by a second connection
  stream_size_ = reader->stream_size();
  config_.frame_size = FrameSize{.height = info_.height, .width = info_.width};
  start_ = Clock::now();
  first_ = next_of(*reader);
  receiver_ = std::jthread([this, reader = std::move(reader), name = LogScope::current()]() mutable {
    const LogScope scope(name);
    receive(std::move(reader));
  });
}

LiveSource::~LiveSource() { stop_.request_stop(); }

std::optional<Frame> LiveSource::read() {
  if (first_) return std::exchange(first_, std::nullopt);
  std::optional<Frame> frame = frames_.pop(stop_.get_token());
  if (!frame && failure_ && !stop_.stop_requested()) std::rethrow_exception(failure_);
  return frame;
}

std::unique_ptr<VideoReader> LiveSource::connect() const {
  return std::make_unique<VideoReader>(url_, config_);
}

void LiveSource::receive(std::unique_ptr<VideoReader> reader) {
  while (reader) {
    try {
      const std::string reason = receive_all(*reader);
      reader.reset();
      if (stop_.stop_requested() || url_ == "-") break;
      reader = reconnect(reason);
      clock_.restart();
    } catch (...) {
      failure_ = std::current_exception();
      break;
    }
  }
  frames_.close();
}

/// With our index and time.
std::optional<Frame> LiveSource::next_of(VideoReader& reader) {
  std::optional<Frame> frame = reader.read();
  if (!frame) return frame;
  frame->index = num_received_++;
  frame->received = Clock::now();
  frame->pts_us = clock_.next(frame->pts_us, now_us());
  return frame;
}

/// Until the connection is lost; returns why.
std::string LiveSource::receive_all(VideoReader& reader) {
  try {
    while (std::optional<Frame> frame = next_of(reader)) {
      if (const FrameSize size = reader.stream_size(); size != stream_size_) {
        stream_size_ = size;
        publish({.kind = StreamEvent::Kind::kSizeChanged,
                 .reason = std::to_string(size.width) + "x" + std::to_string(size.height)});
      }
      if (!frames_.push(std::move(*frame), stop_.get_token())) break;
    }
    return "the stream ended";
  } catch (const MediaError& error) {
    return reason_of(error, shown_url_);
  }
}

/// Null after an interruption.
std::unique_ptr<VideoReader> LiveSource::reconnect(const std::string& reason) {
  const Clock::time_point lost = Clock::now();
  log_warning(shown_url_ + ": lost (" + reason + "); connecting anew");
  publish({.kind = StreamEvent::Kind::kOutage, .reason = reason});
  std::string last_reason = reason;
  for (int64_t attempt = 0; wait_unless_stopped(retry_pause(attempt), stop_.get_token()); ++attempt) {
    const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - lost).count(); };
    try {
      std::unique_ptr<VideoReader> reader = connect();
      log_info(shown_url_ + ": back after " + std::to_string(static_cast<int64_t>(seconds() + 0.5)) + " s");
      publish(
          {.kind = StreamEvent::Kind::kResumed, .reason = {}, .seconds = seconds(), .attempts = attempt + 1});
      return reader;
    } catch (const Error& error) {  // also of a device that decodes
      if (stop_.stop_requested()) return nullptr;
      last_reason = error.what();
      log_debug("attempt " + std::to_string(attempt + 1) + ": " + last_reason);
    }
    const auto most_us = config_.live->max_outage_us;
    if (most_us && seconds() * 1e6 > static_cast<double>(*most_us)) {
      throw MediaError(shown_url_ + ": expected frames again within " + std::to_string(*most_us / 1'000'000) +
                       " s, found none: " + last_reason);
    }
  }
  return nullptr;
}

int64_t LiveSource::now_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start_).count();
}

void LiveSource::publish(StreamEvent event) const {
  event.pts_us = now_us();
  if (config_.live->events) config_.live->events->publish(event);
}

}  // namespace hqtrack
