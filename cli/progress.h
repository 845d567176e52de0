#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace hqtrack {

/// "1:05", "12:00:01".
std::string format_duration(double seconds);

/// One line that says how far a run is, `width` characters at most. Without a total there is no bar and no
/// time left. unit: what is counted.
std::string progress_line(int64_t done, std::optional<int64_t> total, double seconds, int width,
                          const std::string& unit = "frames");

/// Keeps such a line up to date on stderr. Used by one thread at a time.
class Progress {
 public:
  /// Shows nothing unless `is_visible`.
  Progress(std::optional<int64_t> total, bool is_visible, std::string unit = "frames");
  /// Wipes the line.
  ~Progress();
  /// One more is done. Redraws at most ten times a second.
  void advance();
  /// Wipes the line until it is drawn next, so that a message can stand there.
  void wipe();
  int64_t done() const { return done_; }

 private:
  using Clock = std::chrono::steady_clock;
  std::optional<int64_t> total_;
  bool is_visible_;
  std::string unit_;
  int64_t done_ = 0;
  Clock::time_point start_ = Clock::now(), drawn_ = start_;
};

/// Whether stderr is a terminal.
bool is_stderr_terminal();

}  // namespace hqtrack
