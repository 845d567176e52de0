#include "cli/network_arguments.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <filesystem>
#include <thread>

#include "cli/paths.h"
#include "core/log.h"

namespace hqtrack {
namespace po = boost::program_options;

void add_network_options(po::options_description& options) {
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()("config", text())("set", po::value<std::vector<std::string>>()->composing())(
      "device", text())("threads", text());
}

NetworkArguments parse_network(const CommandLine& line) {
  NetworkArguments arguments{.config_file = line.given("config").value_or(""),
                             .weights_file = line.given("weights").value_or(""),
                             .overrides = line.texts("set"),
                             .device = line.given("device").value_or("auto"),
                             .num_threads = std::nullopt};
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
