#include "pipeline/benchmark.h"

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <span>

#include "core/dense.h"
#include "core/error.h"
#include "core/label_mask.h"
#include "core/precision.h"
#include "io/frame_source.h"
#include "io/outputs.h"
#include "pipeline/hqtrack.h"
#include "pipeline/networks.h"
#include "pipeline/runner.h"
#include "pipeline/synthetic_clip.h"
#include "pipeline/track_stage.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A folder that goes with the object.
class WorkFolder {
 public:
  WorkFolder() : path_(fs::temp_directory_path() / ("hqtrack_bench_" + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The value below which that share of the values lies.
double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

/// The best of many, as others may have the cores now and then; of LibTorch's product and our own kernel's,
/// which is the faster one on some processors. On a GPU of the tracker's precision, float32 on a CPU.
double matmul_peak(c10::Device device, const std::string& precision) {
  constexpr int kTimes = 50;
  const c10::InferenceMode guard;
  const int64_t size = device.is_cpu() ? 1024 : 4096;
  const at::ScalarType type = device.is_cpu() ? at::kFloat : type_of(resolve_precision(precision, device));
  const auto options = at::TensorOptions().dtype(type).device(device);
  const at::Tensor a = at::randn({size, size}, options), b = at::randn({size, size}, options);
  Linear layer(torch::nn::LinearOptions(size, size).bias(false));
  layer->to(device, type);
  const auto wait = [&] {
    if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
  };
  double best = 1e9;
  for (int i = 0; i < kTimes; ++i) {
    for (const bool is_own : {false, true}) {
      wait();
      const Clock::time_point start = Clock::now();
      is_own ? layer(a) : at::mm(a, b);
      wait();
      best = std::min(best, seconds_since(start));
    }
  }
  return 2 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / best;
}

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

/// What is followed: the video file and where its objects are.
class Input {
 public:
  Input(const BenchmarkOptions& options, const fs::path& folder, int64_t num_frames) : url_(options.input) {
    if (url_.empty()) {
      url_ = (folder / "input.mp4").string();
      clip_ = std::make_unique<SyntheticClip>(options.height, options.width, options.num_objects);
      clip_->write(url_, num_frames, options.interrupted);
      if (options.interrupted.stop_requested()) throw Interrupted();
    }
    const VideoInfo& video = open()->info();
    height_ = video.height;
    width_ = video.width;
    if (!clip_) {
      still_ = SyntheticClip(height_, width_, options.num_objects).label_mask(0);
    }
  }

  std::unique_ptr<FrameSource> open() const { return open_source(url_); }
  at::Tensor label_mask(int64_t frame) const { return clip_ ? clip_->label_mask(frame) : still_; }
  std::string description() const {
    const std::string size = std::to_string(width_) + "x" + std::to_string(height_);
    return (clip_ ? "drawn video, " : url_ + ", ") + size;
  }

 private:
  std::string url_;
  std::unique_ptr<SyntheticClip> clip_;  // null: another video
  int64_t height_ = 0, width_ = 0;
  at::Tensor still_;
};

/// The tracked frame as if the tracker had found these masks.
TrackedFrame with_masks(TrackedFrame tracked, const at::Tensor& label_mask) {
  const std::array<Region, 256> regions = label_regions(label_mask);
  tracked.label_mask = label_mask;
  for (TrackedObject& object : tracked.objects) {
    object.box = regions[static_cast<size_t>(object.id)].box;
    object.area_px = regions[static_cast<size_t>(object.id)].area_px;
    object.state = ObjectState::kTracked;
    object.score = 1;
  }
  return tracked;
}

class Benchmark {
 public:
  Benchmark(Config config, const std::string& device, const BenchmarkOptions& options)
      : config_(std::move(config)), options_(options) {
    MemoryConfig& memory = config_.tracker.memory;
    memory.interval_frames = 1;
    num_before_ =
        std::max({memory.long_term_frames, memory.long_term_frames_8x, memory.short_term_delay_frames});
    networks_ = std::make_shared<Networks>(config_, device, MissingWeights::kByRule);
    input_ = std::make_unique<Input>(options, folder_.path(), num_before_ + options.num_frames);
    report_.input = input_->description() + ", " + std::to_string(options.num_objects) +
                    (options.num_objects == 1 ? " object" : " objects");
    report_.device = networks_->device().str();
    report_.num_threads = at::get_num_threads();
    report_.long_term_frames = memory.long_term_frames;
    report_.has_made_up_tracker = !fs::exists(config_.tracker.weights);
    report_.has_made_up_refiner = config_.refiner.every_frames > 0 && !fs::exists(config_.refiner.weights);
  }

  BenchmarkReport run() {
    const c10::Device device = networks_->device();
    const auto peak = [&] { return matmul_peak(device, config_.tracker.precision); };
    auto* const allocator = device.is_cpu() ? nullptr : c10::getDeviceAllocator(device.type());
    report_.peak_flops_per_second = peak();
    if (allocator) {  // what that took is none of the run's
      allocator->emptyCache();
      allocator->resetPeakStats(device.index());
    }
    measure_stages();
    measure_pipeline();
    if (allocator) {
      const auto stats = allocator->getDeviceStats(device.index());
      report_.peak_device_bytes = stats.reserved_bytes[0].peak;  // of all pools
    }
    report_.peak_flops_per_second = std::max(report_.peak_flops_per_second, peak());
    report_.peak_resident_bytes = peak_resident_bytes();
    return report_;
  }

 private:
  std::vector<TimedPrompt> prompts() const {
    std::vector<TimedPrompt> prompts;
    for (ObjectPrompt& prompt : mask_prompts(input_->label_mask(0))) {
      prompts.push_back({.at = {}, .edit = {PromptEdit::Action::kAdd, std::move(prompt)}});
    }
    return prompts;
  }

  TrackedFrame track(TrackStage& stage, Frame frame) const {
    const int64_t index = frame.index;
    TrackedFrame tracked = stage(std::move(frame));
    return report_.has_made_up_tracker ? with_masks(std::move(tracked), input_->label_mask(index)) : tracked;
  }

  std::unique_ptr<FrameSink> open_sink(const FrameSource& source) const {
    return open_video_sink(folder_.path() / "output.mp4", source.info(), config_.overlay, config_.encode);
  }

  void measure_stages() {
    const c10::InferenceMode guard;
    HqTrack tracker(networks_);
    TrackStage stage(tracker, prompts());
    const auto source = input_->open();
    const auto sink = open_sink(*source);
    Profile profile(networks_->device());
    std::vector<StageCosts> costs;
    std::vector<int64_t> resident;  // bytes, behind each tenth of the measured frames
    const int64_t tenth = std::max<int64_t>(1, options_.num_frames / 10);
    while (static_cast<int64_t>(costs.size()) < num_before_ + options_.num_frames) {
      if (options_.interrupted.stop_requested()) throw Interrupted();
      std::optional<Frame> frame = source->read();
      if (!frame) break;
      TrackedFrame tracked = track(stage, std::move(*frame));
      if (tracker.refines_frames()) tracked = tracker.refine(std::move(tracked));
      sink->write(tracked);
      costs.push_back(profile.take());
      const int64_t measured = static_cast<int64_t>(costs.size()) - num_before_;
      if (measured > 0 && measured % tenth == 0) resident.push_back(resident_bytes());
    }
    sink->finish();
    if (static_cast<int64_t>(costs.size()) <= num_before_) {
      throw MediaError(options_.input + ": expected more than " + std::to_string(num_before_) +
                       " frames, which fill the memory, found " + std::to_string(costs.size()));
    }
    const auto measured = std::span(costs).subspan(static_cast<size_t>(num_before_));
    evaluate(measured);
    for (size_t i = 0; i < resident.size() && options_.num_frames >= 10; ++i) {
      const auto frames = measured.subspan(i * static_cast<size_t>(tenth), static_cast<size_t>(tenth));
      report_.tenths.push_back({percentile(frame_times(frames), 0.5), resident[i]});
    }
  }

  /// Milliseconds of each frame, all stages together.
  static std::vector<double> frame_times(std::span<const StageCosts> frames) {
    std::vector<double> sums;
    for (const StageCosts& frame : frames) {
      double sum = 0;
      for (const StageCost& stage : frame) sum += 1000 * stage.seconds;
      sums.push_back(sum);
    }
    return sums;
  }

  void evaluate(std::span<const StageCosts> frames) {
    const auto count = static_cast<double>(frames.size());
    report_.num_frames = static_cast<int64_t>(frames.size());
    for (size_t i = 0; i < kNumStages; ++i) {
      std::vector<double> times;
      StageCost total;
      for (const StageCosts& frame : frames) {
        if (frame[i].seconds > 0) times.push_back(1000 * frame[i].seconds);
        total.seconds += frame[i].seconds;
        total.flops += frame[i].flops;
      }
      if (times.empty()) continue;
      report_.stages.push_back({.stage = static_cast<Stage>(i),
                                .p50_ms = percentile(times, 0.5),
                                .p95_ms = percentile(times, 0.95),
                                .flops = total.flops / count,
                                .flops_per_second = total.flops / total.seconds});
    }
    const std::vector<double> times = frame_times(frames);
    report_.frame_p50_ms = percentile(times, 0.5);
    report_.frame_p95_ms = percentile(times, 0.95);
  }

  void measure_pipeline() {
    HqTrack tracker(networks_);
    TrackStage stage(tracker, prompts());
    const auto source = input_->open();
    std::vector<std::unique_ptr<FrameSink>> sinks;
    sinks.push_back(open_sink(*source));
    std::stop_source enough;
    std::vector<double> finished;  // seconds at which frames were ready for the sink
    const std::stop_callback forward(options_.interrupted, [&] { enough.request_stop(); });
    const Clock::time_point start = Clock::now();
    const auto on_frame = [&](const TrackedFrame&) {
      finished.push_back(seconds_since(start));
      if (static_cast<int64_t>(finished.size()) == num_before_ + options_.num_frames) enough.request_stop();
    };
    run_pipeline(*source, [&](Frame frame) { return track(stage, std::move(frame)); }, sinks,
                 {.queue_frames = options_.staging.queue_frames,
                  .is_serial = options_.staging.is_serial,
                  .encode_ahead = [&](const Frame& frame) { stage.encode_ahead(frame); },
                  .refine = stage.refine_step(),
                  .interrupted = enough.get_token(),
                  .on_frame = on_frame});
    if (options_.interrupted.stop_requested()) throw Interrupted();
    const auto first = static_cast<size_t>(num_before_ - 1);
    const double seconds = finished.back() - finished[first];
    report_.frames_per_second = static_cast<double>(finished.size() - 1 - first) / seconds;
  }

  Config config_;
  BenchmarkOptions options_;
  int64_t num_before_ = 0;  // frames that fill the memory
  WorkFolder folder_;
  std::shared_ptr<Networks> networks_;
  std::unique_ptr<Input> input_;
  BenchmarkReport report_;
};

}  // namespace

BenchmarkReport run_benchmark(const Config& config, const std::string& device,
                              const BenchmarkOptions& options) {
  return Benchmark(config, device, options).run();
}

}  // namespace hqtrack
