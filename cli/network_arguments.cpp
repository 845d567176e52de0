#include "cli/network_arguments.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <thread>

#include "cli/paths.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"

namespace hqtrack {
namespace po = boost::program_options;
namespace {

struct Preset {
  std::string name;
  std::vector<std::string> settings;
};

// What each costs and gains: docs/performance.md.
const std::vector<Preset>& presets() {
  static const std::vector<Preset> kPresets = {
      {"exact",
       {"tracker.precision=fp32", "refiner.precision=fp32", "tracker.propagation_16x.exact_frames=0",
        "tracker.propagation_8x.exact_frames=0"}},
      {"balanced",
       {"tracker.precision=bf16", "refiner.precision=bf16", "tracker.propagation_16x.exact_frames=0",
        "tracker.propagation_8x.exact_frames=1"}},
      {"fast",
       {"tracker.precision=int8", "refiner.precision=int8", "tracker.propagation_16x.exact_frames=0",
        "tracker.propagation_8x.exact_frames=0.5"}},
  };
  return kPresets;
}

std::vector<std::string> settings_of_preset(const std::string& name) {
  std::string expected;
  for (const Preset& preset : presets()) {
    if (preset.name == name) return preset.settings;
    expected += (expected.empty() ? "" : ", ") + preset.name;
  }
  throw UsageError("--preset: expected one of " + expected + ", found '" + name + "'");
}

}  // namespace

void add_network_options(po::options_description& options) {
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()("config", text())("set", po::value<std::vector<std::string>>()->composing())(
      "device", text())("threads", text());
}

void add_preset_option(po::options_description& options) {
  options.add_options()("preset", po::value<std::string>());
}

std::string parse_device(const std::string& option, const std::string& name) {
  if (!is_device_name(name)) {
    throw UsageError(option + ": expected auto, cpu, cuda or cuda:N, found '" + name + "'");
  }
  return name;
}

NetworkArguments parse_network(const CommandLine& line, bool takes_several_devices) {
  NetworkArguments arguments{.config_file = line.given("config").value_or(""),
                             .weights_file = line.given("weights").value_or(""),
                             .overrides = {},
                             .device = line.given("device").value_or("auto"),
                             .num_threads = std::nullopt};
  if (takes_several_devices) {
    std::istringstream names(arguments.device);
    for (std::string name; std::getline(names, name, ',');) parse_device("--device", name);
  } else {
    parse_device("--device", arguments.device);
  }
  if (line.has("preset")) arguments.overrides = settings_of_preset(line.text("preset"));
  for (const std::string& setting : line.texts("set")) arguments.overrides.push_back(setting);
  constexpr int64_t kMostThreads = 1024;
  if (line.has("threads"))
    arguments.num_threads = parse_integer("--threads", line.text("threads"), 1, kMostThreads);
  return arguments;
}

void use_threads(const NetworkArguments& arguments) {
  if (!arguments.num_threads) return;
  const int64_t asked = *arguments.num_threads;
  const auto has = std::max<int64_t>(1, std::thread::hardware_concurrency());
  if (asked > has) {
    log_warning("--threads: expected at most " + std::to_string(has) + ", as the machine has, found " +
                std::to_string(asked) + "; " + std::to_string(has) + " are used");
  }
  at::set_num_threads(static_cast<int>(std::min(asked, has)));
}

Config load_config(const NetworkArguments& arguments) {
  return load_config(arguments.config_file.empty() ? default_config_path() : arguments.config_file,
                     arguments.overrides);
}

Config load_track_config(const NetworkArguments& arguments) {
  Config config = load_config(arguments);
  const std::filesystem::path& weights = arguments.weights_file;
  if (!weights.empty()) config.tracker.weights = std::filesystem::absolute(weights).string();
  return config;
}

}  // namespace hqtrack
