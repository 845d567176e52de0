#include "cli/track.h"

#include <memory>
#include <vector>

#include "cli/interruption.h"
#include "cli/memory_budget.h"
#include "cli/track_arguments.h"
#include "cli/track_run.h"
#include "control/control_server.h"
#include "core/error.h"
#include "core/log.h"
#include "pipeline/hqtrack.h"

namespace hqtrack {
int run_track(std::span<const std::string> args) {
  const auto arguments = parse_track_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  check_asked(*arguments, arguments->control.has_value());
  if (arguments->control) check_control("--control", *arguments->control);
  if (arguments->is_quiet) set_log_level(LogLevel::kError);
  const Interruption interruption;  // first: what follows takes its time
  const Config config = load_track_config(arguments->network);
  check_outputs(*arguments, config);
  use_threads(arguments->network);

  TrackRun run(*arguments, interruption.token());
  if (!run.is_open()) return static_cast<int>(ExitCode::kInterrupted);
  const MemoryPlan plan =
      keep_to_budget(config, arguments->network, run.size(config), arguments->memory_budget_bytes);
  HqTrack tracker(plan.config, arguments->network.device);
  std::shared_ptr<ControlledStream> stream;
  std::unique_ptr<ControlServer> server;
  if (arguments->control) {
    if (!config.refiner.weights.empty()) tracker.load_refiner();  // the first box should not wait for it
    stream = std::make_shared<ControlledStream>("main", config.overlay);
    server = std::make_unique<ControlServer>(*arguments->control, std::vector{stream});
    log_info("control interface at " + server->url());
  }
  const RunSummary summary = run.execute(tracker, plan.config, stream, plan.staging);
  return static_cast<int>(summary.was_interrupted ? ExitCode::kInterrupted : ExitCode::kSuccess);
}

}  // namespace hqtrack
