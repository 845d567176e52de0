#pragma once

#include <cstdint>
#include <optional>

namespace hqtrack {

/// Times that only grow, out of those a stream gives. Frames without a time follow their predecessor by its
/// duration, and so does a stream that jumps back (a recording that wraps its clock); small disorder is
/// ironed out.
class FrameClock {
 public:
  /// pts_us: time the stream gives, if any. duration_us: of this frame, a guess where the stream does not
  /// tell.
  int64_t next(std::optional<int64_t> pts_us, int64_t duration_us);

 private:
  std::optional<int64_t> last_us_;
  int64_t last_duration_us_ = 0;
  int64_t offset_us_ = 0;  // added since the last jump back
};

}  // namespace hqtrack
