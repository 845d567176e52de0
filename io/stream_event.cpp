#include "io/stream_event.h"

namespace hqtrack {

const char* to_string(StreamEvent::Kind kind) {
  switch (kind) {
    case StreamEvent::Kind::kOutage:
      return "outage";
    case StreamEvent::Kind::kResumed:
      return "resumed";
    case StreamEvent::Kind::kSizeChanged:
      return "size_changed";
    case StreamEvent::Kind::kOutputLost:
      return "output_lost";
    case StreamEvent::Kind::kOutputResumed:
      return "output_resumed";
    case StreamEvent::Kind::kSegmentComplete:
      break;
  }
  return "segment_complete";
}

}  // namespace hqtrack
