#pragma once

#include "core/frame.h"
#include "io/stream_event.h"

namespace hqtrack {

/// One output of a run: overlay video, masks, events. Used by one thread, frames in display order.
class FrameSink {
 public:
  /// A sink destroyed without `finish` leaves what it wrote playable or readable where the format allows it.
  virtual ~FrameSink() = default;
  /// Throws OutputError naming the file.
  virtual void write(const TrackedFrame& frame) = 0;
  /// Something happened to a live source; in order with the frames. Throws OutputError.
  virtual void write_event(const StreamEvent& /*event*/) {}
  /// Whether it writes events. Such sinks are finished last, so that they hear how the others ended.
  virtual bool takes_events() const { return false; }
  /// Completes the output and gives it its final name. Called once, also after an interruption.
  virtual void finish() = 0;
};

}  // namespace hqtrack
