#include "cli/track.h"

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "cli/detection_prompts.h"
#include "cli/interruption.h"
#include "cli/progress.h"
#include "cli/prompts.h"
#include "cli/track_arguments.h"
#include "core/error.h"
#include "core/log.h"
#include "io/frame_source.h"
#include "io/network_url.h"
#include "io/outputs.h"
#include "pipeline/hqtrack.h"
#include "pipeline/runner.h"
#include "pipeline/track_stage.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

Config load_track_config(const TrackArguments& arguments) {
  Config config = load_config(arguments.network);
  const fs::path& weights = arguments.network.weights_file;
  if (!weights.empty()) config.tracker.weights = fs::absolute(weights).string();
  return config;
}

// Null when an interruption ended the wait for a first frame.
std::unique_ptr<FrameSource> open_until_interrupted(const TrackArguments& arguments,
                                                    std::stop_token interrupted) {
  SourceConfig config = arguments.source;
  config.interrupted = interrupted;
  try {
    return open_source(arguments.input, config);
  } catch (const MediaError&) {
    if (!interrupted.stop_requested()) throw;
    log_info("interrupted before the first frame");
    return nullptr;
  }
}

std::vector<std::unique_ptr<FrameSink>> open_sinks(const TrackArguments& arguments, const VideoInfo& video,
                                                   const Config& config) {
  std::vector<std::unique_ptr<FrameSink>> sinks;
  const auto events = arguments.source.live ? arguments.source.live->events : nullptr;
  for (const std::string& output : arguments.video_outputs) {
    if (is_stream_output(output)) {
      sinks.push_back(open_stream_sink(output, video, config.overlay, config.encode, events));
    } else if (arguments.segment_us) {
      sinks.push_back(
          open_segmented_sink(output, *arguments.segment_us, video, config.overlay, config.encode, events));
    } else {
      sinks.push_back(open_video_sink(output, video, config.overlay, config.encode));
    }
  }
  for (const std::string& output : arguments.event_outputs) sinks.push_back(open_event_sink(output, events));
  if (arguments.mask_output) sinks.push_back(open_mask_sink(*arguments.mask_output));
  return sinks;
}

std::string summary_text(const RunSummary& summary, const TrackArguments& arguments) {
  char text[96];
  std::snprintf(text, sizeof text, "%lld %s in %.1f s (%.1f frames/s)",
                static_cast<long long>(summary.frames), summary.frames == 1 ? "frame" : "frames",
                summary.seconds, summary.frames_per_second());
  std::string line = text;
  const auto name = [&](const char* what, const std::string& output) {
    if (output != "-") line += std::string(", ") + what + " " + without_credentials(output);
  };
  for (const std::string& output : arguments.video_outputs) name("video", output);
  if (arguments.mask_output) name("masks", arguments.mask_output->string());
  for (const std::string& output : arguments.event_outputs) name("events", output);
  for (const auto& [id, times] : summary.times_lost) {
    line += "; object " + std::to_string(id) + " lost " +
            (times == 1 ? std::string("once") : std::to_string(times) + " times");
  }
  return line;
}

void report_unused(const TrackStage& stage, int64_t num_frames) {
  for (const TimedPrompt& timed : stage.pending()) {
    const std::string text = "object " + std::to_string(timed.edit.prompt.id) +
                             ": expected a moment before " + std::to_string(num_frames) +
                             " frames, where the video ended, found " + to_text(timed.at);
    if (!stage.is_started()) throw MediaError(text + "; nothing was tracked");
    log_warning(text + "; this prompt was not used");
  }
}

/// What became of the frames of a live source.
std::string live_text(const RunSummary& summary, int64_t num_dropped_by_source) {
  std::string line = "; " + std::to_string(summary.dropped + num_dropped_by_source) + " dropped, " +
                     std::to_string(summary.unrefined) + " not refined";
  for (const int64_t unwritten : summary.unwritten) {
    if (unwritten > 0) line += ", " + std::to_string(unwritten) + " not written by a slow output";
  }
  char latency[96];
  std::snprintf(latency, sizeof latency, "; latency %.0f ms (p50), %.0f (p95), %.0f (p99)",
                summary.latency.p50_ms, summary.latency.p95_ms, summary.latency.p99_ms);
  return line + latency;
}

std::optional<LiveRun> live_run(const std::optional<LiveConfig>& live) {
  if (!live) return std::nullopt;
  return LiveRun{.max_latency = std::chrono::microseconds(live->max_latency_us), .events = live->events};
}

RunSummary run_with_progress(FrameSource& source, TrackStage& stage,
                             std::span<const std::unique_ptr<FrameSink>> sinks, std::stop_token interrupted,
                             const TrackArguments& arguments) {
  Progress progress(source.info().num_frames, !arguments.is_quiet && is_stderr_terminal());
  const auto live = live_run(arguments.source.live);
  try {
    return run_pipeline(source, [&](Frame frame) { return stage(std::move(frame)); }, sinks,
                        {.queue_frames = live ? size_t{1} : size_t{3},
                         .encode_ahead = [&](const Frame& frame) { stage.encode_ahead(frame); },
                         .refine = stage.refine_step(),
                         .live = live,
                         .interrupted = std::move(interrupted),
                         .on_frame = [&](const TrackedFrame&) { progress.advance(); }});
  } catch (const MediaError& e) {
    throw MediaError(std::string(e.what()) + "; the " + std::to_string(progress.done()) +
                     " frames before are tracked and written");
  }
}

}  // namespace

int run_track(std::span<const std::string> args) {
  const auto arguments = parse_track_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  if (arguments->is_quiet) set_log_level(LogLevel::kError);
  const Config config = load_track_config(*arguments);
  check_outputs(*arguments, config);
  use_threads(arguments->network);

  const Interruption interruption;
  const auto source = open_until_interrupted(*arguments, interruption.token());
  if (!source) return static_cast<int>(ExitCode::kInterrupted);
  const VideoInfo& video = source->info();
  std::vector<PromptEntry> entries = arguments->prompts.entries;
  add_detections(arguments->prompts.detections, video.height, video.width, entries);
  std::vector<TimedPrompt> prompts = resolve_prompts(entries, arguments->prompts.names, video);
  HqTrack hqtrack(config, arguments->network.device);
  TrackStage stage(hqtrack, std::move(prompts));

  const auto sinks = open_sinks(*arguments, video, config);
  const RunSummary summary = run_with_progress(*source, stage, sinks, interruption.token(), *arguments);
  if (!summary.was_interrupted) report_unused(stage, summary.frames);
  log_info((summary.was_interrupted ? "interrupted after " : "") + summary_text(summary, *arguments) +
           (arguments->source.live ? live_text(summary, source->num_dropped()) : std::string()));
  return static_cast<int>(summary.was_interrupted ? ExitCode::kInterrupted : ExitCode::kSuccess);
}

}  // namespace hqtrack
