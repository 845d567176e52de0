#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/config.h"
#include "core/frame.h"
#include "io/frame_sink.h"
#include "pipeline/live_prompts.h"
#include "pipeline/run_monitor.h"

namespace hqtrack {

/// One running stream as the control interface sees it: what a person may ask of it, and say to it. Any
/// thread.
class ControlledStream {
 public:
  using Clock = std::chrono::steady_clock;

  ControlledStream(std::string name, const OverlayConfig& overlay)
      : prompts(std::make_shared<LivePrompts>()),
        monitor(std::make_shared<RunMonitor>()),
        name_(std::move(name)),
        overlay_(overlay) {}

  const std::string& name() const { return name_; }
  const OverlayConfig& overlay() const { return overlay_; }

  /// The newest frame; null before the first.
  std::shared_ptr<const TrackedFrame> latest() const;
  /// Waits for a newer frame than `last`; null when none comes in time.
  std::shared_ptr<const TrackedFrame> next(const std::shared_ptr<const TrackedFrame>& last,
                                           std::chrono::milliseconds timeout) const;
  /// Since the newest frame came; empty before the first.
  std::optional<Clock::duration> age() const;
  /// Frames come, and one did in the last ten seconds.
  bool is_healthy() const;

  void set_latest(const TrackedFrame& frame);

  const std::shared_ptr<LivePrompts> prompts;
  const std::shared_ptr<RunMonitor> monitor;

 private:
  std::string name_;
  OverlayConfig overlay_;
  mutable std::mutex mutex_;
  mutable std::condition_variable has_newer_;
  std::shared_ptr<const TrackedFrame> latest_;
  Clock::time_point came_;
};

/// To be put among the outputs of the stream's run.
std::unique_ptr<FrameSink> open_control_sink(std::shared_ptr<ControlledStream> stream);

}  // namespace hqtrack
