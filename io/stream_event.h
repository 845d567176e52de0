#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace hqtrack {

/// What became of the frames of a live run so far. Each that was received is tracked, dropped or under way.
struct RunFigures {
  int64_t received = 0, tracked = 0;
  int64_t dropped = 0;    // not tracked: they would have been late
  int64_t unrefined = 0;  // tracked, but not refined: that would have made them late
  int64_t unwritten = 0;  // of all outputs: frames that one was too slow for
  int64_t outages = 0;
  double p50_ms = 0.0, p95_ms = 0.0, p99_ms = 0.0;  // latency, of the frames since the figures before
};

/// Something that happened in a live run, apart from its frames.
struct StreamEvent {
  enum class Kind {
    kOutage,       // no more frames come: the connection is lost, or nothing was heard for too long
    kResumed,      // they come again
    kSizeChanged,  // they come in another size than the first, and are scaled to that
    kOutputLost,   // an output cannot be written to; it is tried again
    kOutputResumed,
    kSegmentComplete,  // a file of a segmented recording is closed and has its name
    kFigures           // from time to time
  };
  Kind kind = Kind::kOutage;
  int64_t pts_us = 0;       // on the clock of the frames
  std::string reason;       // of an outage or a lost output, one line; of a new size, the size
  std::string output = {};  // which one
  double seconds = 0.0;     // of a resumption: how long the outage was; of a segment: its length
  int64_t attempts = 0;     // and how many connections were tried
  RunFigures figures = {};
};
/// "1200 frames received, 300 tracked ... latency 350 ms (p50), ..."; what did not happen is left out.
std::string to_text(const RunFigures& figures);

/// "outage", "resumed", "size_changed", "output_lost", "output_resumed",
/// "segment_complete", "stats".
const char* to_string(StreamEvent::Kind kind);

/// Carries events from a source to whoever listens, at most one at a time. Any thread.
class StreamEvents {
 public:
  void publish(const StreamEvent& event) {
    const std::lock_guard lock(mutex_);
    if (listener_) listener_(event);
  }
  /// Called by the thread that publishes, never after another `listen` has returned. Empty: nobody listens.
  void listen(std::function<void(const StreamEvent&)> listener) {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
  }

 private:
  std::mutex mutex_;
  std::function<void(const StreamEvent&)> listener_;
};

}  // namespace hqtrack
