#include "cli/serve.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "cli/arguments.h"
#include "cli/interruption.h"
#include "cli/serve_config.h"
#include "cli/track_run.h"
#include "control/control_server.h"
#include "core/error.h"
#include "core/log.h"
#include "core/log_scope.h"
#include "core/one_line.h"
#include "io/network_url.h"
#include "io/retry.h"
#include "pipeline/hqtrack.h"
#include "pipeline/networks.h"

namespace hqtrack {
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack serve --config FILE
Follows objects through several live streams in one process: the networks are
loaded once, each stream has threads of its own, and one that fails is begun
anew without touching the others. For example:
  hqtrack serve --config cameras.yaml
where the file says (docs/streaming.md):
  control: 8080                # objects while it runs: docs/control.md
  streams:
    gate:
      input: rtsp://user:password@camera/1
      output: [rec/gate.mkv, rtsp://server/gate]
      segment: 10:00           # further keys: options of hqtrack track
      events: gate.ndjson
  --quiet              only errors on stderr
SIGTERM and Ctrl-C complete all outputs.
)";

/// One stream with what lasts longer than a run of it.
struct Served {
  Served(const ServedStream& config, const std::shared_ptr<Networks>& networks)
      : config(config),
        stream(std::make_shared<ControlledStream>(config.name, networks->config().overlay)),
        tracker(networks) {}

  const ServedStream& config;
  std::shared_ptr<ControlledStream> stream;
  HqTrack tracker;
};

/// Runs a stream until it ends by itself or is interrupted. Whatever fails is said and tried again.
void keep_running(Served& served, const Config& config, const std::stop_token& interrupted) {
  constexpr std::chrono::minutes kLongRun{1};  // what fails after that is another failure
  const LogScope scope(served.config.name);
  for (int64_t attempt = 0; !interrupted.stop_requested(); ++attempt) {
    const auto begun = std::chrono::steady_clock::now();
    try {
      TrackRun run(served.config.arguments, interrupted);
      if (!run.is_open()) return;
      run.execute(served.tracker, config, served.stream);
      return;
    } catch (const std::exception& error) {
      if (std::chrono::steady_clock::now() > begun + kLongRun) attempt = 0;
      const auto time = retry_pause(attempt);
      log_error(one_line(error) + "; begun anew in " + std::to_string((time.count() + 999) / 1000) + " s");
      wait_unless_stopped(time, interrupted);
    }
  }
}

void check_outputs_of_all(const ServeConfig& serve, const Config& config) {
  struct Output {
    std::string target, stream;
  };
  std::vector<Output> all;
  for (const auto& [name, arguments] : serve.streams) {
    check_outputs(arguments, config);
    std::vector<Output> own;
    for (const auto& targets : {arguments.video_outputs, arguments.event_outputs}) {
      for (const std::string& target : targets) own.push_back({target, name});
    }
    for (const Output& output : own) {
      const auto same = std::ranges::find_if(all, [&](const Output& other) {
        const bool are_places = (other.target + output.target).find("://") == std::string::npos;
        return are_places ? is_same_place(other.target, output.target) : other.target == output.target;
      });
      if (same == all.end()) continue;
      throw ConfigError("streams " + same->stream + " and " + name + ": expected different outputs, found " +
                        without_credentials(output.target) + " in both");
    }
    all.insert(all.end(), own.begin(), own.end());
  }
}

}  // namespace

int run_serve(std::span<const std::string> args) {
  po::options_description options;
  options.add_options()("config", po::value<std::string>())("quiet", po::bool_switch());
  const auto line = parse_command_line(args, kHelp, options, {}, 0);
  if (!line) return static_cast<int>(ExitCode::kSuccess);
  const auto file = line->given("config");
  if (!file) throw UsageError("expected --config FILE, found none");
  if (line->options["quiet"].as<bool>()) set_log_level(LogLevel::kError);
  const Interruption interruption;  // first: what follows takes its time
  const ServeConfig serve = read_serve_config(*file);
  const Config config = load_track_config(serve.network);
  try {
    check_outputs_of_all(serve, config);
  } catch (const Error& error) {
    throw ConfigError(*file + ": " + error.what());
  }
  use_threads(serve.network);
  // Streams share the cores without waiting for each other.
  const auto num_streams = static_cast<int>(serve.streams.size());
  if (!serve.network.num_threads) at::set_num_threads(std::max(1, at::get_num_threads() / num_streams));

  const auto networks = std::make_shared<Networks>(config, serve.network.device);
  std::vector<std::unique_ptr<Served>> all;
  std::vector<std::shared_ptr<ControlledStream>> streams;
  for (const ServedStream& stream : serve.streams) {
    all.push_back(std::make_unique<Served>(stream, networks));
    streams.push_back(all.back()->stream);
  }
  std::unique_ptr<ControlServer> server;
  if (serve.control) {
    if (!config.refiner.weights.empty()) networks->refiner();  // the first box should not wait for it
    server = std::make_unique<ControlServer>(*serve.control, streams);
    log_info("control interface at " + server->url());
  }
  {
    std::vector<std::jthread> threads;
    for (const auto& served : all) {
      threads.emplace_back([&] {
        keep_running(*served, config, interruption.token());
        served->stream->prompts->close();
      });
    }
  }
  return static_cast<int>(interruption.token().stop_requested() ? ExitCode::kInterrupted
                                                                : ExitCode::kSuccess);
}

}  // namespace hqtrack
