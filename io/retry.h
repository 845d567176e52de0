#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "io/stream_event.h"

namespace hqtrack {

/// Pause before attempt 0, 1, 2 ...: from half a second on twice as long each time, up to 15 s, a quarter
/// more or less by chance, so that not everybody comes back at once.
std::chrono::milliseconds retry_pause(int64_t attempt);

/// Waits so long; false when a stop was requested.
bool wait_unless_stopped(std::chrono::milliseconds time, const std::stop_token& stop);

/// An error's message without the name that it begins with, "NAME: ", where that is known anyway.
std::string reason_of(const std::exception& error, const std::string& name);

/// An output that may fail and come back: when to try it again, and what to say about it. One thread.
class Retry {
 public:
  /// name: of the output, as it may be shown. events: may be null.
  Retry(std::string name, std::shared_ptr<StreamEvents> events)
      : name_(std::move(name)), events_(std::move(events)) {}

  /// Does `work` with one frame. When it throws OutputError, the output is lost: `drop` lets go of it, and
  /// until the pause is over frames are left out. `work` makes anew what was dropped, and tells whether
  /// something has really been written since: only then the output is back. pts_us: of the frame.
  void attempt(int64_t pts_us, const std::function<bool()>& work, const std::function<void()>& drop);

 private:
  using Clock = std::chrono::steady_clock;
  void note_failure(const std::string& reason, int64_t pts_us);
  void note_success(int64_t pts_us);

  std::string name_;
  std::shared_ptr<StreamEvents> events_;
  bool is_lost_ = false;
  int64_t attempts_ = 0, missed_ = 0;  // since it was lost
  int64_t num_pauses_ = 0;             // since it was there for long
  Clock::time_point since_, next_, back_;
};

/// retry->attempt(...); without one `work` alone, whose errors are the caller's.
void attempt(std::optional<Retry>& retry, int64_t pts_us, const std::function<bool()>& work,
             const std::function<void()>& drop);

}  // namespace hqtrack
