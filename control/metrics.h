#pragma once

#include <memory>
#include <span>
#include <string>

#include "control/controlled_stream.h"

namespace hqtrack {

/// Counts, latencies and objects of all streams, and what the process takes, in the text format of Prometheus
/// (0.0.4).
std::string metrics_text(std::span<const std::shared_ptr<ControlledStream>> streams);

}  // namespace hqtrack
