#include "cli/vots.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <unistd.h>

#include <boost/program_options/value_semantic.hpp>
#include <cstdlib>
#include <optional>

#include "cli/arguments.h"
#include "cli/network_arguments.h"
#include "cli/paths.h"
#include "cli/vots_workspace.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/hqtrack_sequence_tracker.h"
#include "eval/trax_server.h"
#include "eval/vots_folder_protocol.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack vots --init-workspace DIR [options]
       hqtrack vots [options]
A tracker for the VOT toolkit (VOTS2023): the first writes a workspace that
drives it, the second is what the toolkit then calls. Example:
  hqtrack vots --init-workspace vots2023 && vot evaluate --workspace vots2023 hqtrack

  --init-workspace DIR  write trackers.ini and config.yaml, with the options given
  --stack NAME          of the toolkit (vots2023); local: measures included,
                        for sequences in DIR/sequences that are annotated
  --name NAME           how the tracker is called there (hqtrack)
  --region KIND         mask (default), or rectangle: boxes in and out
  --folder DIR          the toolkit's folder protocol, instead of TraX
  --log FILE            messages (default: none); nothing else is ever printed
  --config FILE         network settings (configs/nano.yaml)
  --weights FILE        weights instead of those the configuration names
  --preset NAME         exact, balanced or fast, before --set (performance.md)
  --set KEY=VALUE       one setting of the configuration; repeatable
  --device NAME         auto (default), cpu, cuda:N
  --threads N           CPU threads of the network (default: one a core)
)";

struct VotsArguments {
  std::optional<std::string> workspace, folder;
  std::string stack, name, log_file;
  VotsTracker::Kind kind = VotsTracker::Kind::kMask;
  NetworkArguments network;
};

std::optional<VotsArguments> parse_vots_arguments(std::span<const std::string> args) {
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  add_network_options(options);
  add_preset_option(options);
  options.add_options()("init-workspace", text())("stack", text())("name", text())("region", text())(
      "folder", text())("log", text())("weights", text());
  const auto line = parse_command_line(args, kHelp, options, {}, 0);
  if (!line) return std::nullopt;
  const std::string region = line->text("region", "mask");
  if (region != "mask" && region != "rectangle") {
    throw UsageError("--region: expected mask or rectangle, found '" + region + "'");
  }
  const auto workspace = line->given("init-workspace");
  for (const char* option : {"stack", "name"}) {
    if (line->has(option) && !workspace) {
      throw UsageError("--" + std::string(option) + ": has no meaning without --init-workspace");
    }
  }
  if (line->has("folder") && line->has("log")) throw UsageError("--log: has no meaning with --folder");
  if (workspace && line->has("log")) throw UsageError("--log: has no meaning with --init-workspace");
  return VotsArguments{.workspace = workspace,
                       .folder = line->given("folder"),
                       .stack = line->given("stack").value_or("vots2023"),
                       .name = line->given("name").value_or("hqtrack"),
                       .log_file = line->text("log"),
                       .kind = region == "mask" ? VotsTracker::Kind::kMask : VotsTracker::Kind::kRectangle,
                       .network = parse_network(*line)};
}

/// On a GPU the first frame would take seconds, and the toolkit waits for an answer only so long.
void warm_up(HqTrackSequenceTracker& tracker, const std::string& device) {
  if (resolve_device(device).is_cpu()) return;
  const at::Tensor mask = at::zeros({480, 854}, at::kByte);
  mask.slice(0, 100, 300).slice(1, 200, 400).fill_(1);
  const at::Tensor image = at::full({480, 854, 3}, 128, at::kByte);
  tracker.start("warm-up", {.index = 0, .pts_us = 0, .image = image}, mask_prompts(mask));
  tracker.track({.index = 1, .pts_us = 40'000, .image = image});
}

int answer_trax(const VotsArguments& arguments) {
  const bool is_called = std::getenv("TRAX_SOCKET") || std::getenv("TRAX_IN");
  if (!is_called && ::isatty(STDIN_FILENO)) {
    throw UsageError(
        "expected the VOT toolkit at the other end, found a terminal; --init-workspace prepares it");
  }
  auto connection = TraxConnection::from_environment(arguments.log_file);
  std::optional<HqTrackSequenceTracker> tracker;
  try {
    tracker.emplace(load_track_config(arguments.network), arguments.network.device);
    warm_up(*tracker, arguments.network.device);
  } catch (const std::exception& error) {
    refuse_trax(connection, arguments.kind, error.what());
    throw;
  }
  VotsTracker objects(*tracker, arguments.kind);
  serve_trax(connection, objects, arguments.kind);
  return static_cast<int>(ExitCode::kSuccess);
}

int answer_folder(const VotsArguments& arguments) {
  HqTrackSequenceTracker tracker(load_track_config(arguments.network), arguments.network.device);
  VotsTracker objects(tracker, arguments.kind);
  run_vots_folder(*arguments.folder, objects);
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace

int run_vots(std::span<const std::string> args) {
  const auto arguments = parse_vots_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  if (arguments->workspace) {
    // The rest of the command line is what the toolkit will call.
    std::vector<std::string> passed_on;
    const auto pass = [&](const char* option, const std::string& value) {
      passed_on.insert(passed_on.end(), {option, value});
    };
    const NetworkArguments& network = arguments->network;
    const fs::path config = network.config_file.empty() ? default_config_path() : network.config_file;
    // Mistakes are better said now.
    const Config checked = load_track_config(network);
    resolve_device(network.device);
    if (!fs::exists(checked.tracker.weights)) {
      throw WeightsError(checked.tracker.weights +
                         ": expected the weights of the tracker, found no such file");
    }
    pass("--config", fs::absolute(config).lexically_normal().string());
    if (!network.weights_file.empty()) pass("--weights", fs::absolute(network.weights_file).string());
    for (const std::string& setting : network.overrides) pass("--set", setting);
    if (network.device != "auto") pass("--device", network.device);
    if (network.num_threads) pass("--threads", std::to_string(*network.num_threads));
    if (arguments->kind == VotsTracker::Kind::kRectangle) pass("--region", "rectangle");
    write_vots_workspace({.folder = *arguments->workspace,
                          .stack = arguments->stack,
                          .name = arguments->name,
                          .uses_folder_protocol = arguments->folder.has_value(),
                          .options = passed_on});
    return static_cast<int>(ExitCode::kSuccess);
  }
  use_threads(arguments->network);
  return arguments->folder ? answer_folder(*arguments) : answer_trax(*arguments);
}

}  // namespace hqtrack
