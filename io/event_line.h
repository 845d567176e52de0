#pragma once

#include <string>

#include "core/frame.h"
#include "io/stream_event.h"

namespace hqtrack {

/// A line of NDJSON with its line break, as `open_event_sink` documents it.
std::string event_line(const TrackedFrame& tracked);
std::string event_line(const StreamEvent& event);

}  // namespace hqtrack
