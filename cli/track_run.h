#pragma once

#include <memory>
#include <stop_token>

#include "cli/track_arguments.h"
#include "control/controlled_stream.h"
#include "io/frame_source.h"
#include "pipeline/hqtrack.h"
#include "pipeline/memory_plan.h"
#include "pipeline/runner.h"

namespace hqtrack {

/// A video on its way from its source through the tracker into its outputs: what `track` does once, and
/// `serve` for each of its streams.
class TrackRun {
 public:
  /// Opens the source and reads the prompts. arguments: outlive the run. Throws MediaError, and UsageError
  /// for prompts.
  TrackRun(const TrackArguments& arguments, std::stop_token interrupted);

  /// False when an interruption came before the first frame; then there is nothing to execute.
  bool is_open() const { return source_ != nullptr; }

  /// What its memory depends on.
  RunSize size(const Config& config) const;

  /// Opens the outputs and runs to the end; says how it went. stream: may be null.
  RunSummary execute(HqTrack& tracker, const Config& config, const std::shared_ptr<ControlledStream>& stream,
                     const Staging& staging = {});

 private:
  const TrackArguments& arguments_;
  std::stop_token interrupted_;
  std::unique_ptr<FrameSource> source_;
  std::vector<TimedPrompt> prompts_;
};

}  // namespace hqtrack
