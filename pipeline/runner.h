#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/frame.h"
#include "io/frame_sink.h"
#include "io/frame_source.h"
#include "io/stream_event.h"
#include "pipeline/run_monitor.h"

namespace hqtrack {

/// One frame in, the same frame with its objects out. Called by one thread, in display order.
using TrackStep = std::function<TrackedFrame(Frame)>;

/// How a source is followed that does not wait.
struct LiveRun {
  std::chrono::microseconds max_latency{500'000};  // from the reception of a frame to its result
  std::shared_ptr<StreamEvents> events = {};       // passed on to the sinks; may be null
  std::shared_ptr<RunMonitor> monitor = {};        // kept up to date; may be null
  std::optional<std::chrono::microseconds> figures_interval = {};  // how often they are logged and an event
};

struct RunOptions {
  size_t queue_frames = 3;  // frames waiting between two stages; changes no result
  /// One stage at a time computes: nothing is encoded ahead, the tracker's thread refines. Changes no result.
  bool is_serial = false;
  /// Called before the frame is tracked, by a thread of its own.
  std::function<void(const Frame&)> encode_ahead = {};
  /// Called after the frame was tracked, by a thread of its own, in order.
  std::function<TrackedFrame(TrackedFrame)> refine = {};
  std::optional<LiveRun> live = {};
  std::stop_token interrupted = {};  // ends the run early, with complete outputs
  /// Progress; called by the last thread before the sinks.
  std::function<void(const TrackedFrame&)> on_frame = {};
};

struct RunSummary {
  int64_t frames = 0;
  double seconds = 0;  // wall clock
  std::map<int64_t, int64_t>
      times_lost;  // by object id: how often it went from seen to lost; only those that did
  bool was_interrupted = false;
  RunFigures figures;  // of a live run: what became of all its frames
  double frames_per_second() const { return seconds > 0 ? static_cast<double>(frames) / seconds : 0; }
};

/// Streams a video through the tracker into all sinks: reader, encoder, tracker, refiner and every sink have
/// a thread of their own, queues between them block when full, so nothing is lost.
///
/// A live source (`RunOptions::live`) is never made to wait. Where a frame's result would come later than
/// `max_latency`, by what the stages took lately, it is not refined; where that does not help either, and a
/// newer frame is there, it is not tracked. A sink that is too slow misses the oldest frames, and stops
/// nobody else.
///
/// However a run ends, all sinks have got the same frames and are finished, so that what was written is
/// playable:
/// - the source is damaged: all frames before the damage are tracked and written; then its MediaError is
/// thrown;
/// - a stage fails: frames tracked so far are written by the other sinks; then the first exception is thrown.
/// A sink
///   that failed itself is not finished;
/// - interruption: frames tracked so far are written, the summary says so. A source that waits for its data
/// is waited
///   for, but the sinks are finished before.
RunSummary run_pipeline(FrameSource& source, const TrackStep& track,
                        std::span<const std::unique_ptr<FrameSink>> sinks, const RunOptions& options = {});

}  // namespace hqtrack
