#include "pipeline/runner.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/error.h"

namespace hqtrack {
namespace {

constexpr int64_t kNever = -1;

/// Frames of 2x3 pixels whose values are their index.
class FakeSource : public FrameSource {
 public:
  explicit FakeSource(int64_t num_frames) : num_frames_(num_frames) {}

  const VideoInfo& info() const override { return info_; }
  std::optional<Frame> read() override {
    if (num_read == damaged_at) throw MediaError("fake: damaged at frame " + std::to_string(num_read));
    if (num_read == broken_at) throw std::runtime_error("reader failed");
    if (num_read == num_frames_) return std::nullopt;
    const int64_t index = num_read++;
    return Frame{
        .index = index, .pts_us = 40000 * index, .image = at::full({2, 3, 3}, index % 256, at::kByte)};
  }

  int64_t damaged_at = kNever, broken_at = kNever;
  std::atomic<int64_t> num_read = 0;

 private:
  int64_t num_frames_;
  VideoInfo info_;
};

/// What a sink got; outlives it.
struct Received {
  std::vector<int64_t> frames;
  std::vector<int64_t> labels;  // value of each frame's label mask
  std::vector<StreamEvent> events;
  bool is_finished = false;
};

class FakeSink : public FrameSink {
 public:
  explicit FakeSink(Received& received) : received_(received) {}
  void write(const TrackedFrame& tracked) override {
    if (static_cast<int64_t>(received_.frames.size()) == fails_at) throw OutputError("sink failed");
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
    received_.frames.push_back(tracked.frame.index);
    received_.labels.push_back(tracked.label_mask.const_data_ptr<uint8_t>()[0]);
  }
  void write_event(const StreamEvent& event) override { received_.events.push_back(event); }
  bool takes_events() const override { return hears_events; }
  void finish() override {
    if (fails_in_finish) throw OutputError("finish failed");
    if (on_finish) on_finish();
    received_.is_finished = true;
  }

  bool hears_events = true;
  std::function<void()> on_finish;
  int64_t fails_at = kNever;
  bool fails_in_finish = false;
  std::chrono::microseconds delay{0};

 private:
  Received& received_;
};

TrackedFrame label_by_index(Frame frame) {
  const int64_t index = frame.index;
  return {
      .frame = std::move(frame), .label_mask = at::full({2, 3}, (index * 7) % 256, at::kByte), .objects = {}};
}

TrackStep failing_at(int64_t index) {
  return [index](Frame frame) {
    if (frame.index == index) throw std::logic_error("tracker failed");
    return label_by_index(std::move(frame));
  };
}

/// Two sinks and what they get.
struct TwoSinks {
  TwoSinks() {
    for (Received& each : received) {
      auto sink = std::make_unique<FakeSink>(each);
      raw.push_back(sink.get());
      sinks.push_back(std::move(sink));
    }
  }
  Received received[2];
  std::vector<std::unique_ptr<FrameSink>> sinks;
  std::vector<FakeSink*> raw;
};

void expect_frames_up_to(const Received& received, int64_t count) {
  ASSERT_EQ(static_cast<int64_t>(received.frames.size()), count);
  for (int64_t i = 0; i < count; ++i) EXPECT_EQ(received.frames[i], i);
  EXPECT_TRUE(received.is_finished);
}

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "no exception";
}

TEST(RunPipeline, GivesEverySinkEveryFrameInOrder) {
  FakeSource source(150);
  TwoSinks outputs;
  outputs.raw[1]->delay = std::chrono::microseconds(300);
  const RunSummary summary = run_pipeline(source, label_by_index, outputs.sinks, {.queue_frames = 1});
  expect_frames_up_to(outputs.received[0], 150);
  expect_frames_up_to(outputs.received[1], 150);
  EXPECT_EQ(summary.frames, 150);
  EXPECT_GT(summary.seconds, 0);
  EXPECT_FALSE(summary.was_interrupted);
}

TEST(RunPipeline, GivesTheSameForEveryQueueSize) {
  std::vector<std::vector<int64_t>> labels;
  for (const size_t queue_frames : {1, 2, 7}) {
    FakeSource source(60);
    TwoSinks outputs;
    run_pipeline(source, label_by_index, outputs.sinks, {.queue_frames = queue_frames});
    labels.push_back(outputs.received[0].labels);
  }
  EXPECT_EQ(labels[0], labels[1]);
  EXPECT_EQ(labels[0], labels[2]);
  EXPECT_EQ(labels[0].size(), 60U);
}

TEST(RunPipeline, EncodesEveryFrameBeforeItIsTracked) {
  FakeSource source(60);
  TwoSinks outputs;
  std::atomic<int64_t> num_encoded = 0;
  const RunSummary summary = run_pipeline(
      source,
      [&](Frame frame) {
        EXPECT_GT(num_encoded, frame.index);
        return label_by_index(std::move(frame));
      },
      outputs.sinks, {.encode_ahead = [&](const Frame& frame) { EXPECT_EQ(num_encoded++, frame.index); }});
  EXPECT_EQ(summary.frames, 60);
  EXPECT_EQ(num_encoded, 60);
  expect_frames_up_to(outputs.received[0], 60);
}

TEST(RunPipeline, AFailedEncoderLeavesFinishedOutputs) {
  FakeSource source(100000);
  TwoSinks outputs;
  const auto failing = [](const Frame& frame) {
    if (frame.index == 9) throw std::logic_error("encoder failed");
  };
  EXPECT_EQ(
      message_of([&] { run_pipeline(source, label_by_index, outputs.sinks, {.encode_ahead = failing}); }),
      "encoder failed");
  for (const Received& received : outputs.received) {
    EXPECT_LE(received.frames.size(), 9U);
    EXPECT_TRUE(received.is_finished);
  }
}

TEST(RunPipeline, RefinesEveryFrameInOrderAfterItIsTracked) {
  FakeSource source(60);
  TwoSinks outputs;
  int64_t num_refined = 0;
  const auto refine = [&](TrackedFrame tracked) {
    EXPECT_EQ(tracked.frame.index, num_refined++);
    tracked.label_mask = at::full({2, 3}, (tracked.frame.index * 7 + 1) % 256, at::kByte);
    return tracked;
  };
  const RunSummary summary =
      run_pipeline(source, label_by_index, outputs.sinks, {.queue_frames = 2, .refine = refine});
  EXPECT_EQ(summary.frames, 60);
  for (const Received& received : outputs.received) {
    expect_frames_up_to(received, 60);
    for (int64_t i = 0; i < 60; ++i) EXPECT_EQ(received.labels[i], (i * 7 + 1) % 256);
  }
}

TEST(RunPipeline, OneStageAtATimeGivesTheSame) {
  FakeSource source(60);
  TwoSinks outputs;
  std::set<std::thread::id> threads;
  int64_t num_encoded = 0;
  const auto track = [&](Frame frame) {
    threads.insert(std::this_thread::get_id());
    return label_by_index(std::move(frame));
  };
  const auto refine = [&](TrackedFrame tracked) {
    threads.insert(std::this_thread::get_id());
    tracked.label_mask = at::full({2, 3}, (tracked.frame.index * 7 + 1) % 256, at::kByte);
    return tracked;
  };
  run_pipeline(source, track, outputs.sinks,
               {.is_serial = true, .encode_ahead = [&](const Frame&) { ++num_encoded; }, .refine = refine});
  EXPECT_EQ(threads.size(), 1U);
  EXPECT_EQ(num_encoded, 0);
  for (const Received& received : outputs.received) {
    expect_frames_up_to(received, 60);
    for (int64_t i = 0; i < 60; ++i) EXPECT_EQ(received.labels[i], (i * 7 + 1) % 256);
  }
}

TEST(RunPipeline, AFailedRefinerLeavesFinishedOutputs) {
  FakeSource source(100000);
  TwoSinks outputs;
  const auto failing = [](TrackedFrame tracked) {
    if (tracked.frame.index == 9) throw std::logic_error("refiner failed");
    return tracked;
  };
  EXPECT_EQ(message_of([&] { run_pipeline(source, label_by_index, outputs.sinks, {.refine = failing}); }),
            "refiner failed");
  expect_frames_up_to(outputs.received[0], 9);
  expect_frames_up_to(outputs.received[1], 9);
  EXPECT_LT(source.num_read, 100000);
}

TEST(RunPipeline, AFailedTrackerLeavesWhatItTrackedRefined) {
  FakeSource source(100000);
  TwoSinks outputs;
  const auto refine = [](TrackedFrame tracked) { return tracked; };
  EXPECT_EQ(message_of([&] { run_pipeline(source, failing_at(17), outputs.sinks, {.refine = refine}); }),
            "tracker failed");
  expect_frames_up_to(outputs.received[0], 17);
  expect_frames_up_to(outputs.received[1], 17);
}

TEST(RunPipeline, AVideoWithoutFramesFinishesItsOutputs) {
  FakeSource source(0);
  TwoSinks outputs;
  EXPECT_EQ(run_pipeline(source, label_by_index, outputs.sinks).frames, 0);
  expect_frames_up_to(outputs.received[0], 0);
}

TEST(RunPipeline, HoldsFewFramesWhenASinkIsSlow) {
  FakeSource source(40);
  Received received;
  std::vector<std::unique_ptr<FrameSink>> sinks;
  int64_t largest_lead = 0;
  struct Watching : FakeSink {
    Watching(Received& r, FakeSource& s, int64_t& lead) : FakeSink(r), r_(r), source_(s), lead_(lead) {}
    void write(const TrackedFrame& tracked) override {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      lead_ = std::max<int64_t>(lead_, source_.num_read - static_cast<int64_t>(r_.frames.size()));
      FakeSink::write(tracked);
    }
    Received& r_;
    FakeSource& source_;
    int64_t& lead_;
  };
  sinks.push_back(std::make_unique<Watching>(received, source, largest_lead));
  run_pipeline(source, label_by_index, sinks, {.queue_frames = 2});
  expect_frames_up_to(received, 40);
  // Two queues of two, and one frame in the hands of each of three threads.
  EXPECT_LE(largest_lead, 7);
}

TEST(RunPipeline, DamagedInputIsTrackedUpToTheDamage) {
  FakeSource source(100);
  source.damaged_at = 23;
  TwoSinks outputs;
  EXPECT_THROW(run_pipeline(source, label_by_index, outputs.sinks), MediaError);
  expect_frames_up_to(outputs.received[0], 23);
  expect_frames_up_to(outputs.received[1], 23);
}

TEST(RunPipeline, AFailedReaderStopsTheRun) {
  FakeSource source(100);
  source.broken_at = 23;
  TwoSinks outputs;
  EXPECT_EQ(message_of([&] { run_pipeline(source, label_by_index, outputs.sinks); }), "reader failed");
  EXPECT_EQ(outputs.received[0].frames, outputs.received[1].frames);
  EXPECT_TRUE(outputs.received[0].is_finished);
}

TEST(RunPipeline, AFailedTrackerLeavesFinishedOutputs) {
  FakeSource source(100000);
  TwoSinks outputs;
  EXPECT_EQ(message_of([&] { run_pipeline(source, failing_at(17), outputs.sinks); }), "tracker failed");
  expect_frames_up_to(outputs.received[0], 17);
  expect_frames_up_to(outputs.received[1], 17);
  EXPECT_LT(source.num_read, 100000);
}

TEST(RunPipeline, ATrackerThatFailsAtOnceLeavesNoOutput) {
  for (const bool refines : {false, true}) {
    FakeSource source(100);
    TwoSinks outputs;
    RunOptions options;
    if (refines) options.refine = [](TrackedFrame tracked) { return tracked; };
    EXPECT_THROW(run_pipeline(source, failing_at(0), outputs.sinks, options), std::logic_error);
    for (const Received& received : outputs.received) {
      EXPECT_TRUE(received.frames.empty());
      EXPECT_FALSE(received.is_finished);
    }
  }
}

TEST(RunPipeline, AFailedSinkDoesNotHurtTheOther) {
  for (const size_t failing : {0, 1}) {
    FakeSource source(100000);
    TwoSinks outputs;
    outputs.raw[failing]->fails_at = 9;
    EXPECT_EQ(message_of([&] { run_pipeline(source, label_by_index, outputs.sinks, {.queue_frames = 2}); }),
              "sink failed");
    EXPECT_EQ(outputs.received[failing].frames.size(), 9U);
    EXPECT_FALSE(outputs.received[failing].is_finished);
    const Received& other = outputs.received[1 - failing];
    EXPECT_GE(other.frames.size(), 10U);
    expect_frames_up_to(other, static_cast<int64_t>(other.frames.size()));
    EXPECT_LT(source.num_read, 100000);
  }
}

TEST(RunPipeline, TellsWhenAnOutputCannotBeFinished) {
  FakeSource source(5);
  TwoSinks outputs;
  outputs.raw[0]->fails_in_finish = true;
  EXPECT_EQ(message_of([&] { run_pipeline(source, label_by_index, outputs.sinks); }), "finish failed");
  expect_frames_up_to(outputs.received[1], 5);
}

TEST(RunPipeline, TheFirstExceptionIsTheOneThrown) {
  FakeSource source(100);
  TwoSinks outputs;
  outputs.raw[0]->fails_in_finish = true;  // comes after the tracker's
  EXPECT_EQ(message_of([&] { run_pipeline(source, failing_at(3), outputs.sinks); }), "tracker failed");
}

TEST(RunPipeline, AnInterruptedRunFinishesAllOutputsAtTheSameFrame) {
  FakeSource source(100000);
  TwoSinks outputs;
  outputs.raw[0]->delay = std::chrono::milliseconds(1);
  std::stop_source interrupt;
  const RunSummary summary =
      run_pipeline(source, label_by_index, outputs.sinks,
                   {.interrupted = interrupt.get_token(), .on_frame = [&](const TrackedFrame& tracked) {
                      if (tracked.frame.index == 20) interrupt.request_stop();
                    }});
  EXPECT_TRUE(summary.was_interrupted);
  EXPECT_EQ(summary.frames, 21);
  expect_frames_up_to(outputs.received[0], 21);
  expect_frames_up_to(outputs.received[1], 21);
}

TEST(RunPipeline, AnInterruptionBeforeTheStartTracksNothing) {
  FakeSource source(100);
  TwoSinks outputs;
  std::stop_source interrupt;
  interrupt.request_stop();
  const RunSummary summary =
      run_pipeline(source, label_by_index, outputs.sinks, {.interrupted = interrupt.get_token()});
  EXPECT_TRUE(summary.was_interrupted);
  EXPECT_EQ(summary.frames, 0);
  EXPECT_FALSE(outputs.received[0].is_finished);
}

TEST(RunPipeline, CountsHowOftenAnObjectIsLost) {
  FakeSource source(6);
  TwoSinks outputs;
  // Object 4 is seen in 0, 1, 3, 5 and object 9 always.
  const RunSummary summary = run_pipeline(
      source,
      [](Frame frame) {
        TrackedFrame tracked = label_by_index(std::move(frame));
        const bool is_lost = tracked.frame.index == 2 || tracked.frame.index == 4;
        tracked.objects.resize(2);
        tracked.objects[0].id = 4;
        tracked.objects[0].state = is_lost ? ObjectState::kLost : ObjectState::kUncertain;
        tracked.objects[1].id = 9;
        tracked.objects[1].state = ObjectState::kTracked;
        return tracked;
      },
      outputs.sinks);
  EXPECT_EQ(summary.times_lost, (std::map<int64_t, int64_t>{{4, 2}}));
}

/// Frames that come at their own pace, until there are enough.
class FakeCamera : public FrameSource {
 public:
  FakeCamera(int64_t num_frames, std::chrono::milliseconds pause) : num_frames_(num_frames), pause_(pause) {}
  const VideoInfo& info() const override { return info_; }
  std::optional<Frame> read() override {
    if (num_read_ == num_frames_) return std::nullopt;
    std::this_thread::sleep_until(start_ + num_read_ * pause_);
    const int64_t index = num_read_++;
    return Frame{.index = index,
                 .pts_us = 1000 * index,
                 .image = at::full({2, 3, 3}, index % 256, at::kByte),
                 .received = start_ + index * pause_};  // where it waits for its reader, since then
  }

 private:
  using Clock = std::chrono::steady_clock;
  int64_t num_frames_, num_read_ = 0;
  std::chrono::milliseconds pause_;
  Clock::time_point start_ = Clock::now();
  VideoInfo info_;
};

TrackStep slowly(std::chrono::milliseconds time) {
  return [time](Frame frame) {
    std::this_thread::sleep_for(time);
    return label_by_index(std::move(frame));
  };
}

TEST(RunLive, DropsFramesRatherThanComeLate) {
  FakeCamera camera(200, std::chrono::milliseconds(5));
  TwoSinks outputs;
  const RunSummary summary =
      run_pipeline(camera, slowly(std::chrono::milliseconds(20)), outputs.sinks,
                   {.queue_frames = 1, .live = LiveRun{.max_latency = std::chrono::milliseconds(100)}});
  EXPECT_EQ(summary.frames + summary.figures.dropped, 200);
  EXPECT_GT(summary.figures.dropped, 50);
  EXPECT_GT(summary.frames, 20);
  EXPECT_EQ(summary.figures.received, 200);
  // Behind all the time, yet never by much more than what it may.
  EXPECT_LT(summary.figures.p50_ms, 200);
  EXPECT_TRUE(std::ranges::is_sorted(outputs.received[0].frames));
  EXPECT_EQ(static_cast<int64_t>(outputs.received[0].frames.size()), summary.frames);
}

TEST(RunLive, TracksTheNewestFrameHoweverLateItIs) {
  FakeCamera camera(20, std::chrono::milliseconds(1));
  TwoSinks outputs;
  const RunSummary summary =
      run_pipeline(camera, slowly(std::chrono::milliseconds(10)), outputs.sinks,
                   {.queue_frames = 1, .live = LiveRun{.max_latency = std::chrono::microseconds(1)}});
  EXPECT_GE(summary.frames, 2);
  EXPECT_EQ(outputs.received[0].frames.front(), 0) << "the one that start prompts mean";
  EXPECT_EQ(outputs.received[0].frames.back(), 19);
}

// What has waited while networks were loaded comes all at once.
TEST(RunLive, TracksTheFirstFrameOfManyThatHaveWaited) {
  for (int i = 0; i < 20; ++i) {
    FakeCamera camera(60, std::chrono::milliseconds(0));
    TwoSinks outputs;
    std::vector<int64_t> tracked;
    const auto track = [&](Frame frame) {
      tracked.push_back(frame.index);
      return label_by_index(std::move(frame));
    };
    const RunSummary summary = run_pipeline(camera, track, outputs.sinks,
                                            {.live = LiveRun{.max_latency = std::chrono::microseconds(1)}});
    ASSERT_FALSE(tracked.empty());
    EXPECT_EQ(tracked.front(), 0);
    EXPECT_EQ(summary.frames + summary.figures.dropped, 60);
  }
}

TEST(RunLive, LeavesOutRefinementFirst) {
  FakeCamera camera(100, std::chrono::milliseconds(10));
  TwoSinks outputs;
  const auto refine = [](TrackedFrame tracked) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    return tracked;
  };
  const RunSummary summary = run_pipeline(
      camera, label_by_index, outputs.sinks,
      {.queue_frames = 1, .refine = refine, .live = LiveRun{.max_latency = std::chrono::seconds(2)}});
  EXPECT_EQ(summary.frames + summary.figures.dropped, 100);
  EXPECT_GT(summary.figures.unrefined, 20);
  EXPECT_LT(summary.figures.dropped, summary.figures.unrefined);
}

TEST(RunLive, TellsItsFiguresFromTimeToTime) {
  FakeCamera camera(100, std::chrono::milliseconds(5));
  TwoSinks outputs;
  const auto events = std::make_shared<StreamEvents>();
  const auto monitor = std::make_shared<RunMonitor>();
  const LiveRun live{
      .events = events, .monitor = monitor, .figures_interval = std::chrono::milliseconds(100)};
  const RunSummary summary = run_pipeline(camera, label_by_index, outputs.sinks, {.live = live});
  const std::vector<StreamEvent>& told = outputs.received[0].events;
  ASSERT_GE(told.size(), 2U);
  for (size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].kind, StreamEvent::Kind::kFigures);
    const RunFigures& figures = told[i].figures;
    EXPECT_GT(figures.tracked, i == 0 ? 0 : told[i - 1].figures.tracked);
    EXPECT_GE(figures.received, figures.tracked + figures.dropped);
    EXPECT_GT(figures.p99_ms, 0);
  }
  EXPECT_EQ(monitor->received, 100);
  EXPECT_EQ(monitor->received, monitor->tracked + monitor->dropped);
  EXPECT_EQ(summary.figures.tracked, summary.frames);
}

TEST(RunLive, EventsTellHowTheOtherSinksEnded) {
  FakeCamera camera(5, std::chrono::milliseconds(1));
  TwoSinks outputs;
  const auto events = std::make_shared<StreamEvents>();
  outputs.raw[1]->hears_events = false;
  outputs.raw[1]->on_finish = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    events->publish({.kind = StreamEvent::Kind::kSegmentComplete, .reason = {}});
  };
  run_pipeline(camera, label_by_index, outputs.sinks, {.live = LiveRun{.events = events}});
  ASSERT_EQ(outputs.received[0].events.size(), 1U);
  EXPECT_EQ(outputs.received[0].events[0].kind, StreamEvent::Kind::kSegmentComplete);
  EXPECT_TRUE(outputs.received[0].is_finished);
}

TEST(RunLive, ASlowSinkStopsNobodyElse) {
  FakeCamera camera(200, std::chrono::milliseconds(2));
  TwoSinks outputs;
  outputs.raw[0]->delay = std::chrono::milliseconds(20);
  const RunSummary summary =
      run_pipeline(camera, label_by_index, outputs.sinks,
                   {.queue_frames = 1, .live = LiveRun{.max_latency = std::chrono::seconds(9)}});
  EXPECT_EQ(summary.frames + summary.figures.dropped, 200);
  EXPECT_GT(summary.frames, 100);
  EXPECT_EQ(static_cast<int64_t>(outputs.received[1].frames.size()), summary.frames);
  EXPECT_GT(summary.figures.unwritten, 0);
  EXPECT_EQ(static_cast<int64_t>(outputs.received[0].frames.size()) + summary.figures.unwritten,
            summary.frames);
  EXPECT_EQ(outputs.received[0].frames.back(), 199);
}

TEST(RunLive, EventsReachEverySink) {
  FakeCamera camera(5, std::chrono::milliseconds(1));
  TwoSinks outputs;
  const auto events = std::make_shared<StreamEvents>();
  run_pipeline(camera,
               [&](Frame frame) {
                 if (frame.index == 2)
                   events->publish({.kind = StreamEvent::Kind::kOutage, .pts_us = 7, .reason = "gone"});
                 return label_by_index(std::move(frame));
               },
               outputs.sinks, {.queue_frames = 1, .live = LiveRun{.events = events}});
  events->publish({.reason = "nobody listens any more"});
  for (const Received& received : outputs.received) {
    ASSERT_EQ(received.events.size(), 1U);
    EXPECT_EQ(received.events[0].reason, "gone");
    EXPECT_TRUE(received.is_finished);
  }
}

}  // namespace
}  // namespace hqtrack
