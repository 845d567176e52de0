#pragma once

#include <atomic>
#include <cstdint>

#include "io/stream_event.h"
#include "pipeline/latency.h"

namespace hqtrack {

/// Counts of a run while it goes on: the run writes them, from 0 on, any thread may read them.
struct RunMonitor {
  std::atomic<int64_t> received = 0, tracked = 0, dropped = 0, unrefined = 0, unwritten = 0, outages = 0;
  std::atomic<bool> is_receiving =
      false;                 // false before the first frame, during an outage, and after the run
  LatencyHistogram latency;  // from the reception of a frame to the end of each sink's work

  /// With the latency since `before` was taken from `latency.counts()`.
  RunFigures figures(const LatencyHistogram::Counts& before = {}) const {
    const auto times = LatencyHistogram::percentiles(latency.counts(), before);
    return {.received = received,
            .tracked = tracked,
            .dropped = dropped,
            .unrefined = unrefined,
            .unwritten = unwritten,
            .outages = outages,
            .p50_ms = times.p50_ms,
            .p95_ms = times.p95_ms,
            .p99_ms = times.p99_ms};
  }
};

}  // namespace hqtrack
