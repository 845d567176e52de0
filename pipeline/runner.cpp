#include "pipeline/runner.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "core/bounded_queue.h"
#include "core/error.h"
#include "core/log.h"
#include "core/log_scope.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

constexpr size_t kLiveFrames = 16, kLiveSinkFrames = 32;  // that wait for a stage, and for a sink

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
        frames_(options.live ? kLiveFrames : options.queue_frames,
                options.live ? FullQueuePolicy::kDropOldest : FullQueuePolicy::kBlock),
        encoded_(1),
        unrefined_(options.live ? kLiveFrames : options.queue_frames),
        monitor_(options.live && options.live->monitor ? options.live->monitor
                                                       : std::make_shared<RunMonitor>()) {
    for (size_t i = 0; i < sinks.size(); ++i) {
      write_times_.emplace_back();
      options.live ? tracked_.emplace_back(kLiveSinkFrames, FullQueuePolicy::kDropOldest)
                   : tracked_.emplace_back(options.queue_frames);
    }
  }

  RunSummary execute() {
    const auto start = Clock::now();
    for (auto* count : {&monitor_->received, &monitor_->tracked, &monitor_->dropped, &monitor_->unrefined,
                        &monitor_->unwritten, &monitor_->outages}) {
      *count = 0;
    }
    monitor_->latency.clear();
    monitor_->is_receiving = true;
    for (const auto& sink : sinks_) num_before_events_ += sink->takes_events() ? 0 : 1;
    {
      const auto listening = pass_on_events();
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
        start_stage([this, i] { write_frames(*sinks_[i], tracked_[i], write_times_[i]); },
                    [this, i] {
                      tracked_[i].close();
                      if (!sinks_[i]->takes_events()) end_before_events();
                    });
      }
    }
    monitor_->is_receiving = false;
    if (first_error_) std::rethrow_exception(first_error_);
    summary_.was_interrupted = options_.interrupted.stop_requested();
    // Who interrupts often ends the program at the other end of a pipe as well.
    if (damage_ && !summary_.was_interrupted) std::rethrow_exception(damage_);
    summary_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    update_monitor();
    if (options_.live)
      monitor_->dropped = monitor_->received - monitor_->tracked;  // nothing is under way now
    summary_.frames = monitor_->tracked;
    summary_.figures = monitor_->figures();
    return std::move(summary_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Delivered {
    TrackedFrame tracked;
    Clock::time_point since;
  };
  using Output = std::variant<Delivered, StreamEvent>;  // what a sink gets

  // When frames were taken up by a stage, and how long they took from there to the sinks.
  static constexpr size_t kMostInFlight = 64;
  struct Pops {
    std::array<std::atomic<Clock::time_point>, kMostInFlight> times{};  // by index, in a ring
    StageTime rest;
    void add(const Frame& frame, Clock::time_point now) {
      rest.add(now - times[frame.index % kMostInFlight].load());
    }
  };

  // Events of the source go to the sinks as long as the result lives.
  std::shared_ptr<void> pass_on_events() {
    if (!options_.live || !options_.live->events) return nullptr;
    options_.live->events->listen([this](const StreamEvent& event) {
      using Kind = StreamEvent::Kind;
      if (event.kind == Kind::kOutage) ++monitor_->outages;
      if (event.kind == Kind::kOutage || event.kind == Kind::kResumed) {
        monitor_->is_receiving = event.kind == Kind::kResumed;
      }
      for (auto& queue : tracked_) queue.push(event, {});
    });
    return {nullptr, [events = options_.live->events](void*) { events->listen({}); }};
  }

  // Whether the result of a frame would come too late if that took this much longer.
  bool is_late(const Frame& frame, Clock::duration rest) const {
    return options_.live && Clock::now() + rest > frame.received + options_.live->max_latency;
  }

  // From the end of all work on a frame until the first sink has it.
  Clock::duration write_time() const {
    Clock::duration least = Clock::duration::max();
    for (const StageTime& time : write_times_) least = std::min(least, time.mean());
    return write_times_.empty() ? Clock::duration(0) : least;
  }

  // Next frame. Where its result would not come in time if it took as long as those of the last ones did, the
  // newest there is; but the very first one, in which objects were shown, however late it is.
  std::optional<Frame> pop_in_time(BoundedQueue<Frame>& frames, Pops& pops) {
    std::optional<Frame> frame = frames.pop(stop_.get_token());
    if (!frame || !options_.live) return frame;
    if (frame->index > 0 && is_late(*frame, pops.rest.mean() + write_time())) {
      while (frame && frames.size() > 0) {
        frame = frames.pop(stop_.get_token());
        ++dropped_;
      }
    }
    if (frame) pops.times[frame->index % kMostInFlight] = Clock::now();
    return frame;
  }

  // However a stage ends, the next ones must learn that no more will come, and why.
  template <class Stage, class Close>
  void guarded(Stage stage, Close close) {
    c10::InferenceMode guard;
    const LogScope scope(log_scope_);
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
  static int encoder_threads() { return std::max(1, shared_threads() / 4); }

  static void leave_to_encoder() {
    const int threads = shared_threads();
    set_threads(std::max(1, threads - encoder_threads()), threads);
  }

  void read_frames() {
    const std::stop_token stop = stop_.get_token();
    try {
      while (!stop.stop_requested()) {
        std::optional<Frame> frame = source_.read();
        if (frame) ++num_read_;
        if (!frame || !frames_.push(std::move(*frame), stop)) break;
        // Those that have waited at the source must not push it out.
        if (options_.live && num_read_ == 1) frames_.wait_until_empty(stop);
      }
    } catch (const MediaError&) {
      // No reason to stop: what came before the damage is good.
      damage_ = std::current_exception();
    }
  }

  void encode_frames() {
    give_way();
    set_threads(encoder_threads(), encoder_threads());
    const std::stop_token stop = stop_.get_token();
    while (true) {
      // What is encoded early waits for the tracker, and knows less of where the objects are.
      if (!encoded_.wait_for_room(stop)) break;
      std::optional<Frame> frame = pop_in_time(frames_, encode_pops_);
      if (!frame) break;
      options_.encode_ahead(*frame);
      if (!encoded_.push(std::move(*frame), stop)) break;
    }
  }

  void track_frames(BoundedQueue<Frame>& frames) {
    if (options_.encode_ahead) leave_to_encoder();
    while (std::optional<Frame> frame = pop_in_time(frames, track_pops_)) {
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
    if (options_.encode_ahead) leave_to_encoder();
    while (std::optional<TrackedFrame> tracked = unrefined_.pop({})) {
      const Clock::time_point start = Clock::now();
      const bool is_shed = options_.live && (unrefined_.size() > 0 ||
                                             is_late(tracked->frame, refine_time_.mean() + write_time()));
      if (is_shed) {
        ++monitor_->unrefined;
        deliver(*tracked);
      } else {
        const TrackedFrame refined = options_.refine(std::move(*tracked));
        refine_time_.add(Clock::now() - start);
        deliver(refined);
      }
    }
  }

  void deliver(const TrackedFrame& tracked) {
    count(tracked);
    const Clock::time_point now = Clock::now();
    if (options_.live) {
      if (options_.encode_ahead) encode_pops_.add(tracked.frame, now);
      track_pops_.add(tracked.frame, now);
    }
    for (auto& queue : tracked_) queue.push(Delivered{tracked, now}, {});
    update_monitor();
    if (options_.live && options_.live->figures_interval) tell_figures(tracked.frame, now);
    if (options_.on_frame) options_.on_frame(tracked);
  }

  void update_monitor() {
    const int64_t dropped_before = source_.num_dropped();
    monitor_->received = num_read_ + dropped_before;
    monitor_->dropped = dropped_ + frames_.dropped() + dropped_before;
    int64_t unwritten = 0;
    for (const auto& queue : tracked_) unwritten += queue.dropped();
    monitor_->unwritten = unwritten;
  }

  void tell_figures(const Frame& frame, Clock::time_point now) {
    if (now < told_at_ + *options_.live->figures_interval) return;
    told_at_ = now;
    const RunFigures figures = monitor_->figures(std::exchange(told_, monitor_->latency.counts()));
    log_info(to_text(figures));
    if (!options_.live->events) return;
    options_.live->events->publish(
        {.kind = StreamEvent::Kind::kFigures, .pts_us = frame.pts_us, .reason = {}, .figures = figures});
  }

  // In both directions: a tracker that has nobody to push to must learn it.
  void close_refined() {
    unrefined_.close();
    close_sinks();
  }

  void close_sinks() {
    for (size_t i = 0; i < sinks_.size(); ++i) {
      if (!sinks_[i]->takes_events()) tracked_[i].close();
    }
    end_before_events();
  }

  // Sinks that write events go on until the tracker and the other sinks have ended.
  void end_before_events() {
    if (--num_before_events_ > 0) return;
    for (auto& queue : tracked_) queue.close();
  }

  void write_frames(FrameSink& sink, BoundedQueue<Output>& queue, StageTime& time) {
    give_way();
    bool has_written = false;
    while (const std::optional<Output> output = queue.pop({})) {
      if (const auto* const event = std::get_if<StreamEvent>(&*output)) {
        sink.write_event(*event);
        continue;
      }
      const auto& [tracked, since] = std::get<Delivered>(*output);
      sink.write(tracked);
      has_written = true;
      if (!options_.live) continue;
      time.add(Clock::now() - since);
      monitor_->latency.add(Clock::now() - tracked.frame.received);
    }
    // A run that failed before its first frame leaves what lay there before.
    if (has_written || !(stop_.stop_requested() || damage_)) sink.finish();
  }

  void count(const TrackedFrame& tracked) {
    ++monitor_->tracked;
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
  const std::string log_scope_ = LogScope::current();  // for all threads
  BoundedQueue<Frame> frames_;
  BoundedQueue<Frame> encoded_;
  BoundedQueue<TrackedFrame> unrefined_;
  std::deque<BoundedQueue<Output>> tracked_;    // one a sink
  std::deque<StageTime> write_times_;           // one a sink
  std::atomic<int64_t> num_before_events_ = 1;  // the tracker, and each sink that writes no events
  Pops encode_pops_, track_pops_;
  StageTime refine_time_;
  std::shared_ptr<RunMonitor> monitor_;
  std::atomic<int64_t> num_read_ = 0, dropped_ = 0;
  Clock::time_point told_at_ = Clock::now();  // figures, and the latencies until then
  LatencyHistogram::Counts told_{};
  std::stop_source stop_;
  std::mutex error_mutex_;
  std::exception_ptr first_error_, damage_;
  RunSummary summary_;  // of the last thread before the sinks while it runs
  std::map<int64_t, bool> was_seen_;
};

}  // namespace

RunSummary run_pipeline(FrameSource& source, const TrackStep& track,
                        std::span<const std::unique_ptr<FrameSink>> sinks, const RunOptions& options) {
  if (!options.is_serial) return Run(source, track, sinks, options).execute();
  RunOptions serial = options;
  serial.encode_ahead = {};
  serial.refine = {};
  const TrackStep track_and_refine = [&](Frame frame) {
    TrackedFrame tracked = track(std::move(frame));
    return options.refine ? options.refine(std::move(tracked)) : tracked;
  };
  return Run(source, track_and_refine, sinks, serial).execute();
}

}  // namespace hqtrack
