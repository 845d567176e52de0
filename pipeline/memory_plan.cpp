#include "pipeline/memory_plan.h"

#include <torch/nn/module.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "core/error.h"
#include "core/precision.h"
#include "refiner/hq_sam.h"
#include "tracker/preprocess.h"
#include "tracker/vmos.h"

namespace hqtrack {
namespace {

constexpr int64_t kFloat = 4;  // bytes
constexpr int64_t kMiB = 1 << 20;

// Measured: how much lives at a time.
constexpr int64_t kProgramGrowth = 80 * kMiB;  // libraries, threads, code that runs for the first time
constexpr int64_t kBetweenStarts = 8 * kMiB;   // by which the program differs from one start to the next
constexpr int64_t kCudaContext = 600 * kMiB;   // of the driver, with all kernels; not measured
constexpr int64_t kCublas = 5 * 32 * kMiB;     // its workspaces, one for each thread and stream
constexpr int64_t kTiles = 112 * kMiB;         // of attention on a GPU: scores, their softmax, rounded
constexpr int64_t kMapsOfABlock = 38;          // of the block's width at its stride
constexpr int64_t kMapsOfTheHead = 20;         // of width_4x at stride 4
constexpr double kEfficientNetBytes = 150;     // a pixel of the input
constexpr double kInternImageBytes = 3.8;      // a pixel and channel of the first level
constexpr double kTinyVitBytes = 180;          // a pixel of the input
constexpr int64_t kMapsOfVit = 16;             // of its width at stride 16
constexpr int64_t kMapsOfAPrompt = 12;         // of the decoder's width at stride 16
constexpr int64_t kPromptsAtOnce = 4;          // refiner/refiner.cpp
constexpr int64_t kCropsAtOnce = 2;            // `run_each` in core/threads.h
constexpr int64_t kDecoderBytes = 30;          // a pixel of the video: frames it refers to, on all threads
constexpr int64_t kGpuDecoderBytes = 30;       // the same on a GPU; not measured
constexpr int64_t kFrameBytes = 4;             // a pixel of a frame with its label mask
// A pixel of an encoded video: x264, with preset ultrafast, x265, VP9.
constexpr int64_t kX264Bytes = 160, kFastX264Bytes = 70, kX265Bytes = 310, kVp9Bytes = 250;
constexpr const char* kFastPreset = "ultrafast";

int64_t bytes_of(const torch::nn::Module& module) {
  int64_t bytes = 0;
  for (const at::Tensor& parameter : module.parameters()) bytes += static_cast<int64_t>(parameter.nbytes());
  for (const at::Tensor& buffer : module.buffers()) bytes += static_cast<int64_t>(buffer.nbytes());
  return bytes;
}

int64_t refiner_bytes(RefinerConfig config) {
  if (config.encoder.type != "vit") return bytes_of(*HqSam(config));
  // A large one is known by one block: the others have as many weights, but for their relative positions.
  const int64_t width = config.encoder.widths.at(0), depth = config.encoder.depths.at(0);
  const HqSam whole_sizes = [&] {
    RefinerConfig one = config;
    one.encoder.depths = {1};
    one.encoder.global_blocks = {0};
    return HqSam(one);
  }();
  return bytes_of(*whole_sizes) + (depth - 1) * (12 * width * width + 13 * width) * kFloat;
}

class Estimate {
 public:
  Estimate(const MemoryPlan& plan, const RunSize& size, c10::Device device)
      : config_(plan.config), staging_(plan.staging), size_(size), is_cpu_(device.is_cpu()) {
    const GridSize input = network_size({size.height, size.width}, config_.tracker.preprocess);
    input_px_ = input.area();
    const auto cells = [&](int64_t stride) {
      return ((input.height - 1) / stride + 1) * ((input.width - 1) / stride + 1);
    };
    cells_4_ = cells(4), cells_8_ = cells(8), cells_16_ = cells(16);
    num_engines_ = std::max<int64_t>(
        1, (size.num_objects + config_.tracker.objects_per_engine - 1) / config_.tracker.objects_per_engine);
    has_refiner_ = config_.refiner.every_frames > 0 || size.asks_refiner;
  }

  int64_t memory() const {
    const TrackerConfig& tracker = config_.tracker;
    const int64_t at_16 = tracker.propagation_16x.num_blocks * of_frame(tracker.propagation_16x) * cells_16_,
                  at_8 = of_frame(tracker.propagation_8x) * cells_8_;
    // The states of the frame propagated last are half a frame, the frame that is written next is one.
    const int64_t recent = tracker.memory.short_term_delay_frames + 2;
    return num_engines_ * (at_16 * (tracker.memory.long_term_frames + recent) +
                           at_8 * (tracker.memory.long_term_frames_8x + recent));
  }

  int64_t tracking() const {
    const TrackerConfig& tracker = config_.tracker;
    const bool is_intern = tracker.encoder.type == "internimage";
    const int64_t encoding = tracker_encoding();
    const int64_t channels_4 = is_intern ? tracker.encoder.channels : 24,
                  channels_8 = is_intern ? 2 * tracker.encoder.channels : 40;
    const int64_t features =
        kFloat * (channels_4 * cells_4_ + channels_8 * cells_8_ + tracker.propagation_16x.width * cells_16_);
    const int64_t propagating =
        std::max({block(tracker.propagation_16x, cells_16_, tracker.memory.long_term_frames),
                  block(tracker.propagation_8x, cells_8_, tracker.memory.long_term_frames_8x),
                  kFloat * kMapsOfTheHead * tracker.width_4x * cells_4_});
    const int64_t decoding = is_cpu_ ? 0 : 8 * 16 * kMiB;  // maps of a band
    const int64_t logits = num_engines_ * kFloat * (1 + tracker.objects_per_engine) * cells_4_;
    const int64_t step = std::max(propagating, decoding) + logits;
    return staging_.is_serial ? std::max(encoding, step) + 2 * features : encoding + step + 4 * features;
  }

  int64_t refining() const {
    if (!has_refiner_) return 0;
    const RefinerConfig& refiner = config_.refiner;
    const int64_t side = refiner.image_size, cells = side * side / 256;
    const int64_t picture = size_.height * size_.width;
    const bool sees_crops = refiner.mode == "crop";
    const int64_t pictures = sees_crops && is_cpu_ ? std::min(kCropsAtOnce, size_.num_objects) : 1;
    const int64_t at_once = sees_crops ? pictures : std::min(kPromptsAtOnce, size_.num_objects);
    const int64_t decoding =
        at_once * kFloat * (kMapsOfAPrompt * refiner.decoder.width * cells + side * side);
    // Logits of all objects, and on the CPU two masks each for the selector.
    const int64_t answers =
        size_.num_objects * picture * (is_cpu_ ? kFloat + 2 : 0) + at_once * kFloat * picture;
    return std::max(pictures * refiner_encoding(), decoding) + answers;
  }

  /// Of the process, whatever computes.
  int64_t frames() const { return size_.height * size_.width * (kDecoderBytes + kFrameBytes * num_frames()); }

  /// On a GPU: pictures that were decoded there, and what the recorded encoders hold (core/recording.h).
  int64_t on_gpu() const {
    const int64_t shapes = config_.refiner.mode == "crop" ? std::min<int64_t>(4, size_.num_objects) : 1;
    const int64_t recorded = tracker_encoding() + (has_refiner_ ? shapes * refiner_encoding() : 0);
    return recorded + size_.height * size_.width * (kGpuDecoderBytes + 3 * num_frames());
  }

  int64_t video() const {
    const EncodeConfig& encode = config_.encode;
    const int64_t by_x264 = encode.preset == kFastPreset ? kFastX264Bytes : kX264Bytes;
    const int64_t picture = size_.height * size_.width;
    if (encode.codec == "libx265") return size_.num_videos * picture * kX265Bytes;
    if (encode.codec != "auto") {
      return size_.num_videos * picture * (encode.codec.starts_with("libvpx") ? kVp9Bytes : by_x264);
    }
    return picture * (size_.num_webm * kVp9Bytes + (size_.num_videos - size_.num_webm) * by_x264);
  }

  bool has_refiner() const { return has_refiner_; }

 private:
  int64_t tracker_encoding() const {
    const EncoderConfig& encoder = config_.tracker.encoder;
    const double a_pixel = encoder.type == "internimage"
                               ? kInternImageBytes * static_cast<double>(encoder.channels)
                               : kEfficientNetBytes;
    return static_cast<int64_t>(a_pixel * static_cast<double>(input_px_));
  }
  int64_t refiner_encoding() const {
    const RefinerConfig& refiner = config_.refiner;
    const int64_t side = refiner.image_size;
    if (refiner.encoder.type == "vit") {
      return kFloat * kMapsOfVit * refiner.encoder.widths[0] * (side * side / 256);
    }
    const double a_pixel = refiner.encoder.type == "tiny_vit" ? kTinyVitBytes : kEfficientNetBytes;
    return static_cast<int64_t>(a_pixel * static_cast<double>(side * side));
  }
  // Beside those in queues: with the reader, encoded ahead, with the tracker (also the one before), the
  // refiner and the sink.
  int64_t num_frames() const {
    const int64_t queues = config_.refiner.every_frames > 0 && !staging_.is_serial ? 3 : 2;
    return queues * static_cast<int64_t>(staging_.queue_frames) + 7;
  }

  static int64_t of_frame(const PropagationConfig& config) {
    return kFloat * (config.key_width + 4 * config.width);
  }
  // While one works: long-term memory in the order that the CPU's kernel wants, or its values rounded for a
  // GPU, scores, maps.
  int64_t block(const PropagationConfig& config, int64_t cells, int64_t long_term_frames) const {
    const int64_t window = (2 * config_.tracker.local_radius + 1) * (2 * config_.tracker.local_radius + 1);
    const int64_t packed = long_term_frames * (is_cpu_ ? of_frame(config) : 2 * 4 * config.width);
    return (is_cpu_ ? 0 : kTiles) + cells * (packed + kFloat * (window + kMapsOfABlock * config.width));
  }

  const Config& config_;
  const Staging& staging_;
  const RunSize& size_;
  bool is_cpu_, has_refiner_ = false;
  int64_t input_px_ = 0, cells_4_ = 0, cells_8_ = 0, cells_16_ = 0, num_engines_ = 1;
};

/// Weights, in bytes; they do not depend on what a plan changes.
struct Networks {
  int64_t tracker = 0, refiner = 0;
};

Networks networks_of(const Config& config, bool has_refiner) {
  return {.tracker = bytes_of(*Vmos(config.tracker)),
          .refiner = has_refiner ? refiner_bytes(config.refiner) : 0};
}

MemoryNeeds needs_of(const MemoryPlan& plan, const RunSize& size, c10::Device device, int64_t program_bytes,
                     const Networks& networks) {
  const Estimate estimate(plan, size, device);
  MemoryNeeds needs;
  needs.memory = estimate.memory();
  needs.tracking = estimate.tracking();
  needs.refining = estimate.refining();
  const int64_t kept = (needs.tracking + needs.refining) / 2;
  if (plan.staging.is_serial) {  // what the one has taken the other takes again
    (needs.tracking > needs.refining ? needs.refining : needs.tracking) = 0;
  }
  if (!device.is_cpu()) {
    needs.program = kCudaContext;
    needs.weights = networks.tracker + networks.refiner;
    needs.frames = estimate.on_gpu();
    needs.slack = kCublas + (needs.memory + needs.tracking + needs.refining) / 4;
    return needs;
  }
  needs.program = program_bytes + kProgramGrowth;
  // Small matrices are kept in a second order, for the kernels (core/dense.h); so are all of the tracker.
  needs.weights = 2 * networks.tracker + networks.refiner + std::min(networks.refiner, 64 * kMiB);
  needs.frames = estimate.frames();
  needs.video = estimate.video();
  if (!plan.gives_back_freed) needs.slack = kept;
  // A file is read as a whole before its weights are copied.
  const int64_t loading = networks.refiner - (needs.total() - needs.program - needs.weights);
  needs.weights += std::max<int64_t>(0, loading);
  return needs;
}

std::string in_mib(int64_t bytes) { return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB"; }

std::string from_to(const std::string& what, int64_t from, int64_t to) {
  return what + " " + std::to_string(to) + " instead of " + std::to_string(from);
}

/// One way to need less. take: takes it one step further; false when there is none left.
struct Lever {
  std::function<bool(MemoryPlan&)> take;
  std::function<std::string(const MemoryPlan&)> describe;  // after it was taken
};

std::vector<Lever> levers(const Config& asked, const RunSize& size, c10::Device device) {
  const auto once = [](auto is_taken, auto take) {
    return [=](MemoryPlan& plan) { return !is_taken(plan) && (take(plan), true); };
  };
  const auto says = [](std::string text) { return [=](const MemoryPlan&) { return text; }; };
  std::vector<Lever> levers;
  if (device.is_cpu()) {
    levers.push_back({once([](const MemoryPlan& plan) { return plan.staging.queue_frames == 1; },
                           [](MemoryPlan& plan) { plan.staging.queue_frames = 1; }),
                      says("1 frame in a queue instead of 3")});
  }
  levers.push_back({once([](const MemoryPlan& plan) { return plan.staging.is_serial; },
                         [](MemoryPlan& plan) { plan.staging.is_serial = true; }),
                    says("one stage at a time")});
  if (device.is_cpu()) {
    levers.push_back({once([](const MemoryPlan& plan) { return plan.gives_back_freed; },
                           [](MemoryPlan& plan) { plan.gives_back_freed = true; }),
                      says("freed memory is given back at once")});
    const bool is_x264 = asked.encode.codec == "auto" || asked.encode.codec == "libx264";
    if (size.num_videos > size.num_webm && is_x264) {
      levers.push_back({once([](const MemoryPlan& plan) { return plan.config.encode.preset == kFastPreset; },
                             [](MemoryPlan& plan) { plan.config.encode.preset = kFastPreset; }),
                        says("encode.preset ultrafast instead of " + asked.encode.preset)});
    }
  }
  const auto fewer = [&](int64_t MemoryConfig::*frames, const std::string& name) {
    const int64_t from = asked.tracker.memory.*frames;
    levers.push_back({[=](MemoryPlan& plan) {
                        int64_t& count = plan.config.tracker.memory.*frames;
                        return count > 1 && count-- > 1;
                      },
                      [=](const MemoryPlan& plan) {
                        return from_to("tracker.memory." + name, from, plan.config.tracker.memory.*frames);
                      }});
  };
  fewer(&MemoryConfig::long_term_frames_8x, "long_term_frames_8x");
  fewer(&MemoryConfig::long_term_frames, "long_term_frames");
  // As far as half the edges, a tenth of them at a time.
  const PreprocessConfig input = asked.tracker.preprocess;
  const GridSize whole = network_size({size.height, size.width}, input);
  const int64_t long_edge = std::min(input.max_long_edge, std::max(whole.height, whole.width));
  levers.push_back({[=](MemoryPlan& plan) {
                      PreprocessConfig& smaller = plan.config.tracker.preprocess;
                      const int64_t tenths = 10 * smaller.short_edge / input.short_edge - 1;
                      if (tenths < 5) return false;
                      smaller.short_edge = (tenths * input.short_edge + 9) / 10;
                      smaller.max_long_edge = std::max(smaller.short_edge, (tenths * long_edge + 9) / 10);
                      return true;
                    },
                    [=](const MemoryPlan& plan) {
                      const PreprocessConfig& smaller = plan.config.tracker.preprocess;
                      return from_to("tracker.preprocess.short_edge", input.short_edge, smaller.short_edge) +
                             ", " + from_to("max_long_edge", input.max_long_edge, smaller.max_long_edge);
                    }});
  return levers;
}

}  // namespace

int64_t resident_bytes() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;  // the second number
  return pages * sysconf(_SC_PAGESIZE);
}

MemoryNeeds memory_needs(const MemoryPlan& plan, const RunSize& size, c10::Device device,
                         int64_t program_bytes) {
  const bool has_refiner = Estimate(plan, size, device).has_refiner();
  return needs_of(plan, size, device, program_bytes, networks_of(plan.config, has_refiner));
}

MemoryPlan plan_memory(const Config& config, const RunSize& size, c10::Device device, int64_t budget_bytes,
                       int64_t program_bytes) {
  MemoryPlan plan{.config = config, .staging = {}, .needs = {}};
  const Networks networks = networks_of(config, Estimate(plan, size, device).has_refiner());
  const auto fits = [&] {
    plan.needs = needs_of(plan, size, device, program_bytes, networks);
    return plan.needs.total() <= budget_bytes;
  };
  if (fits()) return plan;
  for (const Lever& lever : levers(config, size, device)) {
    const int64_t before = plan.needs.total();
    const MemoryPlan untouched = plan;
    bool is_enough = false;
    while (!is_enough && lever.take(plan)) is_enough = fits();
    if (plan.needs.total() >= before) {
      plan = untouched;  // it is of no use here
      continue;
    }
    plan.changes.push_back(lever.describe(plan));
    if (is_enough) return plan;
  }
  throw DeviceError("--memory-budget: expected at least " + in_mib(plan.needs.total() + kBetweenStarts) +
                    " for frames of " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                    " and " + std::to_string(size.num_objects) +
                    (size.num_objects == 1 ? " object" : " objects") + ", found " + in_mib(budget_bytes));
}

std::string to_text(const MemoryPlan& plan, int64_t budget_bytes) {
  std::string text =
      "memory budget " + in_mib(budget_bytes) + ": at most " + in_mib(plan.needs.total()) + " expected";
  for (size_t i = 0; i < plan.changes.size(); ++i) text += (i == 0 ? ", with " : "; ") + plan.changes[i];
  return text;
}

}  // namespace hqtrack
