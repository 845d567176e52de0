#include "io/live_clock.h"

#include <algorithm>
#include <cstdlib>

namespace hqtrack {
namespace {
constexpr int64_t kJumpUs = 2'000'000;  // further apart than any network delays
constexpr int64_t kDrawn = 256;         // share of the distance by which a frame draws the clocks together
}  // namespace

int64_t LiveClock::next(std::optional<int64_t> stream_us, int64_t arrival_us) {
  int64_t time_us = arrival_us;
  if (stream_us) {
    const bool is_apart = !offset_us_ || std::llabs(*stream_us + *offset_us_ - arrival_us) > kJumpUs;
    if (is_apart) offset_us_ = arrival_us - *stream_us;
    time_us = *stream_us + *offset_us_;
    *offset_us_ += (arrival_us - time_us) / kDrawn;
  }
  if (last_us_) time_us = std::max(time_us, *last_us_ + 1);
  last_us_ = time_us;
  return time_us;
}

}  // namespace hqtrack
