#include "io/stream_event.h"

namespace hqtrack {

const char* to_string(StreamEvent::Kind kind) {
  switch (kind) {
    case StreamEvent::Kind::kOutage:
      return "outage";
    case StreamEvent::Kind::kResumed:
      return "resumed";
    case StreamEvent::Kind::kSizeChanged:
      break;
  }
  return "size_changed";
}

}  // namespace hqtrack
