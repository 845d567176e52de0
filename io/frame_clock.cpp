#include "io/frame_clock.h"

#include <algorithm>

namespace hqtrack {
namespace {
constexpr int64_t kJumpUs = 500000;  // further back than any disorder of pictures
}

int64_t FrameClock::next(std::optional<int64_t> pts_us, int64_t duration_us) {
  const int64_t expected_us = last_us_ ? *last_us_ + std::max<int64_t>(last_duration_us_, 1) : 0;
  int64_t time_us = pts_us ? *pts_us + offset_us_ : expected_us;
  if (last_us_ && time_us < *last_us_ - kJumpUs) {
    offset_us_ += expected_us - time_us;
    time_us = expected_us;
  } else if (last_us_ && time_us <= *last_us_) {
    time_us = *last_us_ + std::min<int64_t>(std::max<int64_t>(last_duration_us_, 1), 1000);
  }
  last_us_ = time_us;
  last_duration_us_ = duration_us;
  return time_us;
}

}  // namespace hqtrack
