#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "io/stream_event.h"

namespace hqtrack {

/// Pause before attempt 0, 1, 2 ...: from half a second on twice as long each time, up to 15 s, a quarter
/// more or less by chance, so that not everybody comes back at once.
std::chrono::milliseconds retry_pause(int64_t attempt);

/// An output that may fail and come back: when to try it again, and what to say about it. One thread.
class Retry {
 public:
  /// name: of the output, as it may be shown. events: may be null.
  Retry(std::string name, std::shared_ptr<StreamEvents> events)
      : name_(std::move(name)), events_(std::move(events)) {}

  bool is_lost() const { return attempts_ >= 0; }
  /// Whether it is time for the next attempt.
  bool is_due() const { return is_lost() && Clock::now() >= next_; }
  /// It failed, for the first time or again. pts_us: of the frame in hand.
  void note_failure(const std::string& reason, int64_t pts_us);
  /// A frame that it did not get.
  void note_missed() { ++missed_; }
  /// It works again.
  void note_success(int64_t pts_us);

 private:
  using Clock = std::chrono::steady_clock;
  std::string name_;
  std::shared_ptr<StreamEvents> events_;
  int64_t attempts_ = -1, missed_ = 0;
  Clock::time_point since_, next_;
};

}  // namespace hqtrack
