#include "pipeline/runner.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/bounded_queue.h"
#include "core/error.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

/// One run of `run_pipeline`. A stop ends reading and tracking at once; sinks always write what was tracked.
/// A sink that fails closes its queue, so the tracker never waits for it.
class Run {
 public:
  Run(FrameSource& source, const TrackStep& track, std::span<const std::unique_ptr<FrameSink>> sinks,
      const RunOptions& options)
      : source_(source),
        track_(track),
        sinks_(sinks),
        options_(options),
        frames_(options.queue_frames),
        encoded_(1),
        unrefined_(options.queue_frames) {
    for (size_t i = 0; i < sinks.size(); ++i) tracked_.emplace_back(options.queue_frames);
  }

  RunSummary execute() {
    const auto start = std::chrono::steady_clock::now();
    {
      const std::stop_callback forward(options_.interrupted, [this] { stop_.request_stop(); });
      std::vector<std::jthread> threads;
      threads.emplace_back([this] { guarded([this] { read_frames(); }); });
      if (options_.encode_ahead) threads.emplace_back([this] { guarded([this] { encode_frames(); }); });
      threads.emplace_back(
          [this] { guarded([this] { track_frames(options_.encode_ahead ? encoded_ : frames_); }); });
      if (options_.refine) threads.emplace_back([this] { guarded([this] { refine_frames(); }); });
      for (size_t i = 0; i < sinks_.size(); ++i) {
        threads.emplace_back([this, i] { guarded([this, i] { write_frames(*sinks_[i], tracked_[i]); }); });
      }
    }
    if (first_error_) std::rethrow_exception(first_error_);
    summary_.was_interrupted = options_.interrupted.stop_requested();
    // Who interrupts often ends the program at the other end of a pipe as well.
    if (damage_ && !summary_.was_interrupted) std::rethrow_exception(damage_);
    summary_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(summary_);
  }

 private:
  template <class Stage>
  void guarded(Stage stage) {
    c10::InferenceMode guard;
    try {
      stage();
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!first_error_) first_error_ = std::current_exception();
      stop_.request_stop();
    }
  }

  // The tracker has most of the work. Its operators leave the encoder alone, and what it shares out fills the
  // gaps.
  static int encoder_threads() { return std::max(1, at::get_num_threads() / 4); }

  void read_frames() {
    const std::stop_token stop = stop_.get_token();
    try {
      while (!stop.stop_requested()) {
        std::optional<Frame> frame = source_.read();
        if (!frame || !frames_.push(std::move(*frame), stop)) break;
      }
    } catch (const MediaError&) {
      // No reason to stop: what came before the damage is good.
      damage_ = std::current_exception();
    }
    frames_.close();
  }

  void encode_frames() {
    const std::unique_ptr<BoundedQueue<Frame>, void (*)(BoundedQueue<Frame>*)> close_queue(
        &encoded_, [](BoundedQueue<Frame>* queue) { queue->close(); });
    set_threads(encoder_threads(), encoder_threads());
    give_way();
    const std::stop_token stop = stop_.get_token();
    while (std::optional<Frame> frame = frames_.pop(stop)) {
      options_.encode_ahead(*frame);
      if (!encoded_.push(std::move(*frame), stop)) break;
    }
  }

  void track_frames(BoundedQueue<Frame>& frames) {
    if (options_.encode_ahead)
      set_threads(std::max(1, at::get_num_threads() - encoder_threads()), at::get_num_threads());
    // However this stage ends, the next ones must learn that no more will come.
    const std::unique_ptr<Run, void (*)(Run*)> close_queues(this, [](Run* run) {
      run->unrefined_.close();
      if (!run->options_.refine) run->close_sinks();
    });
    while (std::optional<Frame> frame = frames.pop(stop_.get_token())) {
      TrackedFrame tracked = track_(std::move(*frame));
      if (!options_.refine) {
        deliver(tracked);
      } else if (!unrefined_.push(std::move(tracked), {})) {
        break;
      }
    }
  }

  void refine_frames() {
    give_way();
    // Closed in both directions: a tracker that has nobody to push to must learn it.
    const std::unique_ptr<Run, void (*)(Run*)> close_queues(this, [](Run* run) {
      run->unrefined_.close();
      run->close_sinks();
    });
    while (std::optional<TrackedFrame> tracked = unrefined_.pop({}))
      deliver(options_.refine(std::move(*tracked)));
  }

  void deliver(const TrackedFrame& tracked) {
    count(tracked);
    for (auto& queue : tracked_) queue.push(tracked, {});
    if (options_.on_frame) options_.on_frame(tracked);
  }

  void close_sinks() {
    for (auto& queue : tracked_) queue.close();
  }

  void write_frames(FrameSink& sink, BoundedQueue<TrackedFrame>& queue) {
    give_way();
    try {
      while (const std::optional<TrackedFrame> frame = queue.pop({})) sink.write(*frame);
      sink.finish();
    } catch (...) {
      queue.close();
      throw;
    }
  }

  void count(const TrackedFrame& tracked) {
    ++summary_.frames;
    for (const TrackedObject& object : tracked.objects) {
      const bool is_lost = object.state == ObjectState::kLost;
      bool& was_seen = was_seen_[object.id];
      if (is_lost && was_seen) ++summary_.times_lost[object.id];
      was_seen = !is_lost;
    }
  }

  FrameSource& source_;
  const TrackStep& track_;
  const std::span<const std::unique_ptr<FrameSink>> sinks_;
  const RunOptions& options_;
  BoundedQueue<Frame> frames_;
  BoundedQueue<Frame> encoded_;
  BoundedQueue<TrackedFrame> unrefined_;
  std::deque<BoundedQueue<TrackedFrame>> tracked_;  // one a sink
  std::stop_source stop_;
  std::mutex error_mutex_;
  std::exception_ptr first_error_, damage_;
  RunSummary summary_;  // of the last thread before the sinks while it runs
  std::map<int64_t, bool> was_seen_;
};

}  // namespace

RunSummary run_pipeline(FrameSource& source, const TrackStep& track,
                        std::span<const std::unique_ptr<FrameSink>> sinks, const RunOptions& options) {
  return Run(source, track, sinks, options).execute();
}

}  // namespace hqtrack
