#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/profile.h"
#include "pipeline/memory_plan.h"

namespace hqtrack {

struct BenchmarkOptions {
  std::string input;  // a video file or pictures; empty: a drawn video (SyntheticClip) of height x width
  int64_t height = 480, width = 854;
  int64_t num_objects = 3;  // discs: in a drawn video they move, in another one they lie over its first frame
  int64_t num_frames = 20;  // that are measured
  Staging staging = {};     // of the end-to-end run
  std::stop_token interrupted = {};
};

/// A stage over all measured frames, with nothing beside it.
struct StageFigures {
  Stage stage;
  double p50_ms = 0, p95_ms = 0;  // a frame; of the frames in which it ran
  double flops = 0;               // a frame, mean
  double flops_per_second = 0;
};

/// A tenth of the measured frames, to see whether the last ones cost more than the first.
struct TenthFigures {
  double frame_p50_ms = 0;
  int64_t resident_bytes = 0;  // of the process, at its end
};

struct BenchmarkReport {
  std::string device;  // as LibTorch names it
  int num_threads = 0;
  std::string input;                                              // what was tracked, for people
  bool has_made_up_tracker = false, has_made_up_refiner = false;  // no weights file was there
  int64_t num_frames = 0;                                         // that were measured
  int64_t long_term_frames = 0;                                   // in memory at stride 16 meanwhile
  double peak_flops_per_second = 0;           // of large float32 matrix products, the best
  std::vector<StageFigures> stages;           // those that ran, in order
  double frame_p50_ms = 0, frame_p95_ms = 0;  // all stages of a frame one after the other
  std::vector<TenthFigures> tenths;           // of the same frames; none where there are fewer than ten
  double frames_per_second = 0;               // end to end, stages side by side as in `hqtrack track`
  int64_t peak_resident_bytes = 0;
  std::optional<int64_t> peak_device_bytes;  // on a GPU: what LibTorch took of it
};

/// Measures the whole way of a frame, from a video file to an overlay video: first one stage after the other,
/// then as `hqtrack track` does. Memory is full when measuring begins, and written at every frame. Weights
/// files that are not there are made up by the rule of core/weights/rule_weights.h. A made-up tracker loses
/// its objects; its masks are then replaced by the discs, so that the stages behind it have their work.
/// Throws as HqTrack does, MediaError for an input that is too short, and Interrupted; nothing is left
/// behind.
BenchmarkReport run_benchmark(const Config& config, const std::string& device,
                              const BenchmarkOptions& options);

}  // namespace hqtrack
