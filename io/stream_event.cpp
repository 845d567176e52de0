#include "io/stream_event.h"

#include <cstdio>

namespace hqtrack {

std::string to_text(const RunFigures& figures) {
  std::string text = std::to_string(figures.received) + " frames received, " +
                     std::to_string(figures.tracked) + " tracked, " + std::to_string(figures.dropped) +
                     " dropped";
  const auto add = [&](int64_t count, const char* what) {
    if (count > 0) text += ", " + std::to_string(count) + what;
  };
  add(figures.unrefined, " not refined");
  add(figures.unwritten, " not written by a slow output");
  add(figures.outages, figures.outages == 1 ? " outage" : " outages");
  char latency[96];
  std::snprintf(latency, sizeof latency, "; latency %.0f ms (p50), %.0f (p95), %.0f (p99)", figures.p50_ms,
                figures.p95_ms, figures.p99_ms);
  return text + latency;
}

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
      return "segment_complete";
    case StreamEvent::Kind::kFigures:
      break;
  }
  return "stats";
}

}  // namespace hqtrack
