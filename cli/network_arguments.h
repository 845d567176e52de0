#pragma once

#include <boost/program_options/options_description.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "core/config.h"

namespace hqtrack {

/// Which network a command runs, and on what.
struct NetworkArguments {
  std::filesystem::path config_file, weights_file;  // empty: not given
  std::vector<std::string> overrides;               // key.sub=value: those of --preset, then those of --set
  std::string device = "auto";
  std::optional<int64_t> num_threads;
};

/// Adds --config, --set, --device and --threads.
void add_network_options(boost::program_options::options_description& options);

/// Adds --preset, for commands that track: a named set of settings between the configuration and --set.
void add_preset_option(boost::program_options::options_description& options);

/// The name of a device; whether there is such a one is seen when it is used. Throws UsageError "OPTION: ...".
std::string parse_device(const std::string& option, const std::string& name);

/// Reads them, and --weights where the command has it. Several devices are names with commas between. Throws
/// UsageError, for an unknown preset too.
NetworkArguments parse_network(const CommandLine& line, bool takes_several_devices = false);

/// Sets the number of threads, where one is asked for; more than the machine has are not used, and that is
/// said.
void use_threads(const NetworkArguments& arguments);

/// The configuration asked for, or the default one. Whose weights --weights are is left to the caller. Throws
/// ConfigError.
Config load_config(const NetworkArguments& arguments);
/// The same where --weights are the tracker's.
Config load_track_config(const NetworkArguments& arguments);

}  // namespace hqtrack
