#include "cli/track_run.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "cli/detection_prompts.h"
#include "cli/progress.h"
#include "cli/prompts.h"
#include "core/error.h"
#include "core/log.h"
#include "io/network_url.h"
#include "io/outputs.h"
#include "pipeline/track_stage.h"

namespace hqtrack {
namespace {

bool is_webm(const std::string& output) { return output.ends_with(".webm"); }

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
                                                   const Config& config,
                                                   const std::shared_ptr<ControlledStream>& stream) {
  std::vector<std::unique_ptr<FrameSink>> sinks;
  const auto events = arguments.source.live ? arguments.source.live->events : nullptr;
  const ExistingOutput existing = arguments.appends ? ExistingOutput::kAppend : ExistingOutput::kReplace;
  for (const std::string& output : arguments.video_outputs) {
    if (is_stream_output(output)) {
      sinks.push_back(open_stream_sink(output, video, config.overlay, config.encode, events, existing));
    } else if (arguments.segment_us) {
      sinks.push_back(
          open_segmented_sink(output, *arguments.segment_us, video, config.overlay, config.encode, events));
    } else {
      sinks.push_back(open_video_sink(output, video, config.overlay, config.encode));
    }
  }
  for (const std::string& output : arguments.event_outputs) {
    sinks.push_back(open_event_sink(output, events, existing));
  }
  if (arguments.mask_output) sinks.push_back(open_mask_sink(*arguments.mask_output));
  if (stream) sinks.push_back(open_control_sink(stream));
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
  const bool has_pictures = summary.frames > 0;  // without one there is no file
  for (const std::string& output : arguments.video_outputs) {
    const bool is_segmented = arguments.segment_us && !is_stream_output(output);
    if (has_pictures) is_segmented ? name("videos", segment_names(output)) : name("video", output);
  }
  if (has_pictures && arguments.mask_output) name("masks", arguments.mask_output->string());
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

std::optional<LiveRun> live_run(const TrackArguments& arguments, std::shared_ptr<RunMonitor> monitor) {
  const std::optional<LiveConfig>& live = arguments.source.live;
  if (!live) return std::nullopt;
  LiveRun run{.max_latency = std::chrono::microseconds(live->max_latency_us),
              .events = live->events,
              .monitor = std::move(monitor)};
  if (arguments.stats_interval_us) run.figures_interval.emplace(*arguments.stats_interval_us);
  return run;
}

RunSummary run_with_progress(FrameSource& source, TrackStage& stage,
                             std::span<const std::unique_ptr<FrameSink>> sinks,
                             const std::optional<LiveRun>& live, std::stop_token interrupted,
                             const TrackArguments& arguments, const Staging& staging) {
  Progress progress(source.info().num_frames, !arguments.is_quiet && is_stderr_terminal());
  try {
    return run_pipeline(source, [&](Frame frame) { return stage(std::move(frame)); }, sinks,
                        {.queue_frames = staging.queue_frames,
                         .is_serial = staging.is_serial,
                         .encode_ahead = [&](const Frame& frame) { stage.encode_ahead(frame); },
                         .refine = stage.refine_step(),
                         .live = live,
                         .interrupted = std::move(interrupted),
                         .on_frame = [&](const TrackedFrame&) { progress.advance(); }});
  } catch (const MediaError& e) {
    const int64_t done = progress.done();
    if (done == 0) throw;
    throw MediaError(std::string(e.what()) + (done == 1 ? "; the frame before is tracked and written"
                                                        : "; the " + std::to_string(done) +
                                                              " frames before are tracked and written"));
  }
}

}  // namespace

TrackRun::TrackRun(const TrackArguments& arguments, std::stop_token interrupted)
    : arguments_(arguments),
      interrupted_(std::move(interrupted)),
      source_(open_until_interrupted(arguments, interrupted_)) {
  if (!source_) return;
  const VideoInfo& video = source_->info();
  std::vector<PromptEntry> entries = arguments.prompts.entries;
  add_detections(arguments.prompts.detections, video.height, video.width, entries);
  prompts_ = resolve_prompts(entries, arguments.prompts.names, video);
}

RunSize TrackRun::size(const Config& config) const {
  RunSize size{.height = source_->info().height,
               .width = source_->info().width,
               .num_objects = 0,
               .num_videos = static_cast<int64_t>(arguments_.video_outputs.size()),
               .num_webm = std::ranges::count_if(arguments_.video_outputs, is_webm)};
  std::set<int64_t> ids;
  for (const TimedPrompt& timed : prompts_) {
    if (timed.edit.action == PromptEdit::Action::kRemove) continue;
    ids.insert(timed.edit.prompt.id);
    size.asks_refiner = size.asks_refiner || timed.edit.prompt.needs_refiner();
  }
  if (!ids.empty()) {
    size.num_objects =
        config.tracker.compatibility == "reference" ? *ids.rbegin() : static_cast<int64_t>(ids.size());
  }
  return size;
}

RunSummary TrackRun::execute(HqTrack& tracker, const Config& config,
                             const std::shared_ptr<ControlledStream>& stream, const Staging& staging) {
  TrackStage stage(tracker, std::move(prompts_), stream ? stream->prompts : nullptr);
  const auto sinks = open_sinks(arguments_, source_->info(), config, stream);
  const auto live = live_run(arguments_, stream ? stream->monitor : nullptr);
  RunSummary summary = run_with_progress(*source_, stage, sinks, live, interrupted_, arguments_, staging);
  if (!summary.was_interrupted) report_unused(stage, summary.frames);
  log_info((summary.was_interrupted ? "interrupted after " : "") + summary_text(summary, arguments_) +
           (arguments_.source.live ? "; " + to_text(summary.figures) : std::string()));
  return summary;
}

}  // namespace hqtrack
