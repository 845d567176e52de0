#pragma once

#include <cstdint>
#include <optional>

namespace hqtrack {

/// Times of a live source that goes on for weeks: they grow with the clock of this machine, and keep the
/// distances that the stream gives its frames as long as both clocks agree. A stream that jumps, wraps,
/// starts anew or says nothing is laid where its frames arrive; one that runs a little fast or slow is drawn
/// along gently.
class LiveClock {
 public:
  /// stream_us: time the stream gives, if any. arrival_us: when the frame came, on a clock that starts with
  /// the first frame. Returns the frame's time, later than the one before.
  int64_t next(std::optional<int64_t> stream_us, int64_t arrival_us);

  /// The stream counts from another time now.
  void restart() { offset_us_.reset(); }

 private:
  std::optional<int64_t> offset_us_;  // from the stream's time to ours
  std::optional<int64_t> last_us_;
};

}  // namespace hqtrack
