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
      const auto start_stage = [&](auto stage, auto close) {
        threads.emplace_back([this, stage, close] { guarded(stage, close); });
      };
      start_stage([this] { read_frames(); }, [this] { frames_.close(); });
      if (options_.encode_ahead) start_stage([this] { encode_frames(); }, [this] { encoded_.close(); });
      start_stage([this] { track_frames(options_.encode_ahead ? encoded_ : frames_); },
                  [this] { options_.refine ? unrefined_.close() : close_sinks(); });
      if (options_.refine) start_stage([this] { refine_frames(); }, [this] { close_refined(); });
      for (size_t i = 0; i < sinks_.size(); ++i) {
        start_stage([this, i] { write_frames(*sinks_[i], tracked_[i]); }, [this, i] { tracked_[i].close(); });
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
  // However a stage ends, the next ones must learn that no more will come, and why.
  template <class Stage, class Close>
  void guarded(Stage stage, Close close) {
    c10::InferenceMode guard;
    try {
      stage();
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!first_error_) first_error_ = std::current_exception();
      stop_.request_stop();
    }
    close();
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
  }

  void encode_frames() {
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
    while (std::optional<TrackedFrame> tracked = unrefined_.pop({}))
      deliver(options_.refine(std::move(*tracked)));
  }

  void deliver(const TrackedFrame& tracked) {
    count(tracked);
    for (auto& queue : tracked_) queue.push(tracked, {});
    if (options_.on_frame) options_.on_frame(tracked);
  }

  // In both directions: a tracker that has nobody to push to must learn it.
  void close_refined() {
    unrefined_.close();
    close_sinks();
  }

  void close_sinks() {
    for (auto& queue : tracked_) queue.close();
  }

  void write_frames(FrameSink& sink, BoundedQueue<TrackedFrame>& queue) {
    give_way();
    bool has_written = false;
    for (; const std::optional<TrackedFrame> frame = queue.pop({}); has_written = true) sink.write(*frame);
    // A run that failed before its first frame leaves what lay there before.
    if (has_written || !(stop_.stop_requested() || damage_)) sink.finish();
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
