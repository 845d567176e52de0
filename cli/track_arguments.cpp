#include "cli/track_arguments.h"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cctype>
#include <limits>
#include <utility>

#include "cli/arguments.h"
#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;

const char* const kTrackHelp = R"(Usage: hqtrack track INPUT --mask FIRST.png -o OUT.mp4 [options]
Follows the objects of a mask through a video. INPUT: a file, a URL, a folder or
pattern of images (frames/%05d.jpg), or - for standard input. For example:
  hqtrack track box.mp4 --mask box_mask.png -o out.mp4 --events out.ndjson

  -o, --output FILE    video with the objects drawn in: .mp4 .mov .mkv .webm
  --masks DIR          palette PNG of each frame: 00000.png, 00001.png ...
  --events FILE|-      NDJSON, a line a frame: boxes, areas, scores, states
  --mask [FRAME:]FILE  objects to follow from that frame on (0); repeatable
  --name ID=NAME       name of an object id; repeatable
  --start T            begin there: seconds or [HH:]MM:SS.mmm
  --duration T         end that much later
  --config FILE        network and output settings (configs/nano.yaml)
  --weights FILE       weights instead of those the configuration names
  --set KEY=VALUE      one setting of the configuration; repeatable
  --device NAME        auto (default), cpu, cuda:N
  --threads N          CPU threads of the network (default: one a core)
  --overwrite          replace outputs that exist
  --quiet              only errors on stderr: no progress, no summary
At least one of --output, --masks and --events is needed. Ctrl-C completes them.
)";

namespace {

po::options_description track_options() {
  const auto text = [] { return po::value<std::string>(); };
  const auto texts = [] { return po::value<std::vector<std::string>>()->composing(); };
  po::options_description options;
  options.add_options()("output,o", text())("masks", text())("events", text())("mask", texts())(
      "name", texts())("start", text())("duration", text())("config", text())("weights", text())(
      "set", texts())("device", text())("threads", text())("overwrite", po::bool_switch())("quiet",
                                                                                           po::bool_switch());
  return options;
}

MaskArgument parse_mask(const std::string& text) {
  const size_t colon = text.find(':');
  const bool has_frame = colon != std::string::npos && colon > 0 &&
                         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                                     [](unsigned char c) { return std::isdigit(c); });
  if (text.empty() || (has_frame && colon + 1 == text.size())) {
    throw UsageError("--mask: expected [FRAME:]FILE, found '" + text + "'");
  }
  if (!has_frame) return {.frame_index = 0, .file = text};
  return {
      .frame_index = parse_integer("--mask", text.substr(0, colon), 0, std::numeric_limits<int32_t>::max()),
      .file = text.substr(colon + 1)};
}

std::map<int64_t, std::string> parse_names(const std::vector<std::string>& texts) {
  std::map<int64_t, std::string> names;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals + 1 == text.size()) {
      throw UsageError("--name: expected ID=NAME, found '" + text + "'");
    }
    const int64_t id = parse_integer("--name", text.substr(0, equals), 1, 255);
    if (!names.emplace(id, text.substr(equals + 1)).second) {
      throw UsageError("--name: expected one name for object " + std::to_string(id) + ", found several");
    }
  }
  return names;
}

template <class T>
std::optional<T> optional_text(const CommandLine& line, const std::string& option) {
  if (!line.has(option)) return std::nullopt;
  if (line.text(option).empty()) throw UsageError("--" + option + ": expected a value, found none");
  return T(line.text(option));
}

// The same file or folder, also under another name; neither needs to exist.
bool is_same_place(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  const auto normal = [](const fs::path& path) {
    std::error_code ignored;
    const fs::path canonical = fs::weakly_canonical(fs::absolute(path), ignored);
    return canonical.has_filename() ? canonical : canonical.parent_path();
  };
  return normal(a) == normal(b);
}

// Outputs as (option, place), "-" left out.
std::vector<std::pair<std::string, fs::path>> output_places(const TrackArguments& arguments) {
  std::vector<std::pair<std::string, fs::path>> places;
  if (arguments.video_output) places.emplace_back("--output", *arguments.video_output);
  if (arguments.mask_output) places.emplace_back("--masks", *arguments.mask_output);
  if (arguments.event_output && *arguments.event_output != "-")
    places.emplace_back("--events", *arguments.event_output);
  return places;
}

void check_not_an_input(const std::string& option, const fs::path& place, const TrackArguments& arguments) {
  if (arguments.input != "-") {
    const fs::path input = arguments.input;
    if (is_same_place(place, input)) throw UsageError(option + ": " + place.string() + " is the input");
    // A folder of masks must not replace the pictures that are read.
    if (option == "--masks" && input.has_parent_path() && input.string().find('%') != std::string::npos &&
        is_same_place(place, input.parent_path())) {
      throw UsageError(option + ": " + place.string() + " is the folder of the input");
    }
  }
  for (const MaskArgument& mask : arguments.masks) {
    const bool is_replaced = option == "--masks" ? is_same_place(place, fs::absolute(mask.file).parent_path())
                                                 : is_same_place(place, mask.file);
    if (is_replaced) {
      throw UsageError(option + ": " + place.string() + " would replace the input " + mask.file.string());
    }
  }
}

void check_free(const std::string& option, const fs::path& place, bool overwrites) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(place, ignored);
  if (option == "--masks") {
    if (fs::exists(place, ignored) && !is_folder) {
      throw OutputError(place.string() + ": expected a folder for masks, found a file");
    }
    if (is_folder && !fs::is_empty(place, ignored) && !overwrites) {
      throw OutputError(place.string() +
                        ": expected an empty or new folder, found files in it; --overwrite replaces them");
    }
    return;
  }
  if (is_folder) throw OutputError(place.string() + ": expected a file, found a folder");
  if (fs::is_regular_file(place, ignored) && !overwrites) {
    throw OutputError(place.string() + ": exists already; --overwrite replaces it");
  }
}

}  // namespace

std::optional<TrackArguments> parse_track_arguments(std::span<const std::string> args) {
  const auto line = parse_command_line(args, kTrackHelp, track_options(), {"INPUT"}, 1);
  if (!line) return std::nullopt;
  TrackArguments arguments;
  arguments.input = line->positional[0];
  if (line->has("start")) arguments.source.start_us = parse_time_us("--start", line->text("start"));
  if (line->has("duration")) {
    arguments.source.duration_us = parse_time_us("--duration", line->text("duration"));
    if (arguments.source.duration_us == 0) throw UsageError("--duration: expected more than 0, found 0");
  }
  for (const std::string& text : line->texts("mask")) arguments.masks.push_back(parse_mask(text));
  arguments.names = parse_names(line->texts("name"));

  arguments.video_output = optional_text<fs::path>(*line, "output");
  arguments.mask_output = optional_text<fs::path>(*line, "masks");
  arguments.event_output = optional_text<std::string>(*line, "events");
  arguments.overwrites = line->options["overwrite"].as<bool>();

  arguments.config_file = optional_text<fs::path>(*line, "config");
  arguments.weights_file = optional_text<fs::path>(*line, "weights");
  arguments.overrides = line->texts("set");
  arguments.device = line->text("device", "auto");
  if (line->has("threads"))
    arguments.num_threads = parse_integer("--threads", line->text("threads"), 1, 1024);
  arguments.is_quiet = line->options["quiet"].as<bool>();

  if (!arguments.video_output && !arguments.mask_output && !arguments.event_output) {
    throw UsageError("expected an output (--output, --masks or --events), found none");
  }
  if (arguments.video_output == fs::path("-")) throw UsageError("--output: expected a file, found '-'");
  if (arguments.mask_output == fs::path("-")) throw UsageError("--masks: expected a folder, found '-'");
  if (arguments.masks.empty())
    throw UsageError("--mask: expected a picture of the objects to follow, found none");
  return arguments;
}

void check_outputs(const TrackArguments& arguments) {
  const auto places = output_places(arguments);
  for (size_t i = 0; i < places.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (is_same_place(places[i].second, places[j].second)) {
        throw UsageError(places[j].first + " and " + places[i].first + ": expected two places, found " +
                         places[i].second.string() + " for both");
      }
    }
    check_not_an_input(places[i].first, places[i].second, arguments);
  }
  for (const auto& [option, place] : places) check_free(option, place, arguments.overwrites);
}

}  // namespace hqtrack
