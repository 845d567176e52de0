#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/network_arguments.h"
#include "cli/prompt_arguments.h"
#include "control/control_server.h"
#include "io/frame_source.h"

namespace hqtrack {

/// What `hqtrack track` was asked for.
struct TrackArguments {
  std::string input;
  SourceConfig source;
  PromptArguments prompts;  // those of --prompts included
  std::optional<std::filesystem::path> prompt_file;

  std::vector<std::string> video_outputs;  // files, and what is_stream_output takes
  std::optional<int64_t> segment_us;       // length of the files among them
  std::vector<std::string> event_outputs;  // files, "-" or sockets
  std::optional<std::filesystem::path> mask_output;
  std::optional<ControlConfig> control;      // of live streams
  std::optional<int64_t> stats_interval_us;  // of live streams
  bool overwrites = false;
  bool appends = false;  // to files of events and playlists, which may be there already

  NetworkArguments network;                    // the weights are the tracker's
  std::optional<int64_t> memory_budget_bytes;  // of a file, whose objects are all known
  bool is_quiet = false;
};

/// Text of `hqtrack track --help`.
extern const char* const kTrackHelp;

/// Reads the command line; empty when it asked for help, which is printed then. Throws UsageError.
std::optional<TrackArguments> parse_track_arguments(std::span<const std::string> args);

/// --control with --control-token; empty without. Throws UsageError.
std::optional<ControlConfig> parse_control(const CommandLine& line);

/// The same file or folder, also under another name; neither needs to exist.
bool is_same_place(const std::filesystem::path& a, const std::filesystem::path& b);

/// Throws UsageError where nothing would be followed, or nobody would learn of it.
void check_asked(const TrackArguments& arguments, bool has_control);

/// Looks at the outputs before any work is done. Throws UsageError when an output is an input (the
/// configuration's weights are, too) or two outputs are one, OutputError when one is there already and may
/// not be replaced.
void check_outputs(const TrackArguments& arguments, const Config& config);

}  // namespace hqtrack
