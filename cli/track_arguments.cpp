#include "cli/track_arguments.h"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cctype>
#include <iterator>
#include <utility>

#include "cli/arguments.h"
#include "cli/memory_budget.h"
#include "core/error.h"
#include "io/event_socket.h"
#include "io/list_images.h"
#include "io/network_url.h"
#include "io/outputs.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;

const char* const kTrackHelp = R"(Usage: hqtrack track INPUT --box X0,Y0,X1,Y1 -o OUT.mp4 [options]
Follows objects through a video. INPUT: a file, a URL, a folder or pattern of
images (frames/%05d.jpg), or - for standard input. For example:
  hqtrack track in.mp4 --box 30,40,200,180 --name cup --point 300,90 -o out.mp4
  --box X0,Y0,X1,Y1    an object by its outer box
  --point X,Y[,0]      a point on it; with ,0 beside it
  --mask FILE          picture of one object or, without --id, of several
  --at FRAME|T         when that is said: frame 0, or 4.5s, 1:20 (a time)
  --name NAME, --id N  its name and id; a known id: corrects that object
  --detections FILE    COCO or MOT boxes, of frame --at, from --min-score S on
  --prompts FILE       the same from JSON, with removals (docs/prompts.md)
  -o, --output FILE    video with the objects drawn in: .mp4 .mov .mkv .webm
  --masks DIR          palette PNG of each frame: 00000.png, 00001.png ...
  --events FILE|-      NDJSON, a line a frame: boxes, areas, scores, states
  --live, --control, --segment ...  cameras, prompts from a page: streaming.md
  --start T, --duration T   part of the video: seconds or [HH:]MM:SS.mmm
  --config FILE        network and output settings (configs/nano.yaml)
  --weights FILE       weights instead of those the configuration names
  --preset NAME        exact, balanced or fast, before --set (performance.md)
  --set KEY=VALUE      one setting of the configuration; repeatable
  --device NAME, --threads N   auto, cpu or cuda:N; default: auto, one a core
  --memory-budget MIB  holds the peak of memory (docs/performance.md)
  --overwrite, --quiet   replace outputs that exist; only errors on stderr
At least one of --output, --masks and --events is needed. Ctrl-C completes them.
)";

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

namespace {

po::options_description track_options() {
  const auto text = [] { return po::value<std::string>(); };
  const auto texts = [] { return po::value<std::vector<std::string>>(); };
  po::options_description options;
  add_prompt_options(options);
  add_network_options(options);
  add_preset_option(options);
  options.add_options()("output,o", texts())("masks", text())("events", texts())("prompts", text())(
      "start", text())("duration", text())("hwaccel", text())("live", po::bool_switch())(
      "rtsp-transport", text())("timeout", text())("segment", text())("max-outage", text())(
      "max-latency", text())("memory-budget", text())("control", text())("control-token", text())(
      "stats", text())("weights", text())("overwrite", po::bool_switch())("quiet", po::bool_switch());
  return options;
}

/// Empty for what is no live stream.
std::optional<LiveConfig> parse_live(const CommandLine& line, const std::string& input) {
  if (!line.options["live"].as<bool>() && !is_live_url(input)) {
    for (const char* option :
         {"rtsp-transport", "timeout", "max-outage", "max-latency", "control", "control-token", "stats"}) {
      if (line.has(option)) {
        throw UsageError("--" + std::string(option) +
                         ": expected a live stream (rtsp://..., or --live), found " +
                         without_credentials(input));
      }
    }
    return std::nullopt;
  }
  if (is_image_input(input)) throw UsageError("--live: expected a stream, found pictures: " + input);
  for (const char* option : {"start", "duration"}) {
    if (line.has(option)) throw UsageError("--" + std::string(option) + ": has no meaning for a live stream");
  }
  LiveConfig live;
  const auto time = [&](const char* option, int64_t& target) {
    if (!line.has(option)) return;
    const std::string name = "--" + std::string(option);
    target = parse_time_us(name, line.text(option));
    if (target == 0) throw UsageError(name + ": expected more than 0, found 0");
  };
  time("timeout", live.timeout_us);
  time("max-latency", live.max_latency_us);
  if (line.has("max-outage")) time("max-outage", live.max_outage_us.emplace());
  if (line.has("rtsp-transport")) {
    live.rtsp_transport = line.text("rtsp-transport");
    if (live.rtsp_transport != "tcp" && live.rtsp_transport != "udp") {
      throw UsageError("--rtsp-transport: expected tcp or udp, found '" + live.rtsp_transport + "'");
    }
  }
  live.events = std::make_shared<StreamEvents>();
  return live;
}

VideoHardware parse_hardware(const CommandLine& line) {
  const std::string name = line.text("hwaccel", "none");
  for (const auto& [each, hardware] :
       {std::pair{"none", VideoHardware::kNone}, std::pair{"cuda", VideoHardware::kCuda},
        std::pair{"vaapi", VideoHardware::kVaapi}, std::pair{"auto", VideoHardware::kAuto}}) {
    if (name == each) return hardware;
  }
  throw UsageError("--hwaccel: expected auto, none, cuda or vaapi, found '" + name + "'");
}

std::vector<std::string> outputs_of(const CommandLine& line, const std::string& option) {
  std::vector<std::string> outputs = line.texts(option);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty()) throw UsageError("--" + option + ": expected a value, found none");
    if (std::find(outputs.begin(), outputs.begin() + static_cast<std::ptrdiff_t>(i), outputs[i]) !=
        outputs.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw UsageError("--" + option + ": expected different outputs, found " +
                       without_credentials(outputs[i]) + " several times");
    }
  }
  return outputs;
}

// Outputs on this machine as (option, place).
std::vector<std::pair<std::string, fs::path>> output_places(const TrackArguments& arguments) {
  std::vector<std::pair<std::string, fs::path>> places;
  for (const std::string& output : arguments.video_outputs) {
    const bool is_file = output.find("://") == std::string::npos && output != "-";
    if (is_file) places.emplace_back("--output", output);
  }
  if (arguments.mask_output) places.emplace_back("--masks", *arguments.mask_output);
  for (const std::string& output : arguments.event_outputs) {
    if (output != "-" && !is_event_socket(output)) places.emplace_back("--events", output);
  }
  return places;
}

/// Neither a picture that is read nor, of masks, the folder in which all of them lie.
void check_not_a_picture(const std::string& option, const fs::path& place, const std::string& input) {
  std::error_code ignored;
  const fs::path folder =
      fs::is_directory(input, ignored) ? fs::path(input) : fs::absolute(input).parent_path();
  if (option == "--masks") {
    if (is_same_place(place, folder))
      throw UsageError(option + ": " + place.string() + " is the folder of the input");
    return;
  }
  if (!fs::exists(place, ignored) || !is_same_place(fs::absolute(place).parent_path(), folder)) return;
  for (const fs::path& picture : list_images(input)) {
    if (is_same_place(place, picture)) {
      throw UsageError(option + ": " + place.string() + " is a picture of the input");
    }
  }
}

void check_not_an_input(const std::string& option, const fs::path& place, const TrackArguments& arguments,
                        const Config& config) {
  if (arguments.input != "-") {
    const fs::path input = arguments.input;
    if (is_same_place(place, input)) throw UsageError(option + ": " + place.string() + " is the input");
    if (is_image_input(arguments.input)) check_not_a_picture(option, place, arguments.input);
  }
  const fs::path prompt_file = arguments.prompt_file.value_or("");
  for (const fs::path& file :
       {prompt_file, config.file, fs::path(config.tracker.weights), fs::path(config.refiner.weights)}) {
    if (!file.empty() && is_same_place(place, file)) {
      throw UsageError(option + ": " + place.string() + " would replace the input " + file.string());
    }
  }
  if (arguments.input != "-" && option != "--masks" &&
      is_same_place(fs::absolute(place).parent_path(), arguments.input)) {
    throw UsageError(option + ": " + place.string() + " lies in the input, a folder of pictures");
  }
  for (const PromptEntry& entry : arguments.prompts.entries) {
    if (entry.mask.empty()) continue;
    const bool is_replaced = option == "--masks"
                                 ? is_same_place(place, fs::absolute(entry.mask).parent_path())
                                 : is_same_place(place, entry.mask);
    if (is_replaced) {
      throw UsageError(option + ": " + place.string() + " would replace the input " + entry.mask.string());
    }
  }
  for (const DetectionArguments& detections : arguments.prompts.detections) {
    if (is_same_place(place, detections.file)) {
      throw UsageError(option + ": " + place.string() + " is the file of --detections");
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

std::optional<ControlConfig> parse_control(const CommandLine& line) {
  if (!line.has("control")) {
    if (line.has("control-token"))
      throw UsageError("--control-token: expected --control with it, found none");
    return std::nullopt;
  }
  ControlConfig control = parse_control_address("--control", line.text("control"));
  if (const auto file = line.given("control-token"))
    control.token = read_control_token("--control-token", *file);
  return control;
}

std::optional<TrackArguments> parse_track_arguments(std::span<const std::string> args) {
  const auto line = parse_command_line(args, kTrackHelp, track_options(), {"INPUT"}, 1);
  if (!line) return std::nullopt;
  TrackArguments arguments;
  arguments.input = line->positional[0];
  arguments.source.live = parse_live(*line, arguments.input);
  arguments.source.hardware = parse_hardware(*line);
  if (line->has("start")) arguments.source.start_us = parse_time_us("--start", line->text("start"));
  if (line->has("duration")) {
    arguments.source.duration_us = parse_time_us("--duration", line->text("duration"));
    if (arguments.source.duration_us == 0) throw UsageError("--duration: expected more than 0, found 0");
  }
  arguments.prompts = parse_prompts(*line);
  if (const auto file = line->given("prompts")) {
    std::ranges::move(read_prompt_file(fs::absolute(*file)), std::back_inserter(arguments.prompts.entries));
    arguments.prompt_file = file;
  }

  arguments.video_outputs = outputs_of(*line, "output");
  if (line->has("segment")) {
    arguments.segment_us = parse_time_us("--segment", line->text("segment"));
    if (*arguments.segment_us < 1'000'000)
      throw UsageError("--segment: expected at least a second, found less");
    if (std::ranges::all_of(arguments.video_outputs, is_stream_output))
      throw UsageError("--segment: expected an --output that is a file, found none");
  }
  arguments.event_outputs = outputs_of(*line, "events");
  arguments.mask_output = line->given("masks");
  arguments.control = parse_control(*line);
  if (line->has("stats")) {
    arguments.stats_interval_us = parse_time_us("--stats", line->text("stats"));
    if (arguments.stats_interval_us == 0) throw UsageError("--stats: expected more than 0, found 0");
  }
  arguments.overwrites = line->options["overwrite"].as<bool>();

  arguments.network = parse_network(*line);
  arguments.memory_budget_bytes = parse_memory_budget(*line);
  if (arguments.memory_budget_bytes && arguments.source.live) {
    throw UsageError("--memory-budget: expected a file, all of whose objects are known, found a live stream");
  }
  arguments.is_quiet = line->options["quiet"].as<bool>();

  if (std::ranges::count(arguments.video_outputs, "-") + std::ranges::count(arguments.event_outputs, "-") >
      1) {
    throw UsageError("'-': expected one output that goes to standard output, found several");
  }
  if (arguments.mask_output == fs::path("-")) throw UsageError("--masks: expected a folder, found '-'");
  return arguments;
}

void check_asked(const TrackArguments& arguments, bool has_control) {
  if (has_control) return;  // which shows the frames and takes the objects
  if (arguments.video_outputs.empty() && !arguments.mask_output && arguments.event_outputs.empty()) {
    throw UsageError("expected an output (--output, --masks or --events), found none");
  }
  if (arguments.prompts.entries.empty() && arguments.prompts.detections.empty()) {
    throw UsageError(
        "expected an object to follow (--box, --point, --mask, --detections or --prompts), found none");
  }
}

void check_outputs(const TrackArguments& arguments, const Config& config) {
  for (const std::string& output : arguments.video_outputs) {
    if (!is_stream_output(output)) check_video_output(output);
  }
  const auto places = output_places(arguments);
  for (size_t i = 0; i < places.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (is_same_place(places[i].second, places[j].second)) {
        throw UsageError(places[j].first + " and " + places[i].first + ": expected two places, found " +
                         places[i].second.string() + " for both");
      }
    }
    check_not_an_input(places[i].first, places[i].second, arguments, config);
  }
  for (const auto& [option, place] : places) {
    const bool is_appended = arguments.appends && (option == "--events" || is_stream_output(place));
    check_free(option, place, arguments.overwrites || is_appended);
  }
}

}  // namespace hqtrack
