#include "cli/ctl.h"

#include <httplib.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/arguments.h"
#include "cli/prompt_arguments.h"
#include "cli/prompts.h"
#include "cli/track_arguments.h"
#include "control/control_server.h"
#include "core/error.h"
#include "io/mask_reader.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHelp = R"(Usage: hqtrack ctl COMMAND --control [HOST:]PORT [options]
Speaks to a running `hqtrack track --control` or `hqtrack serve`. For example:
  hqtrack ctl add --box 30,40,200,180 --name cup --control 8080

  streams              those that there are
  list                 the newest frame: boxes, scores and states of its objects
  add                  --box X0,Y0,X1,Y1, --point X,Y[,0], --mask FILE, --name:
                       follows an object from the next frame on
  correct ID           the same of an object that is followed
  remove ID            lets go of an object
  picture FILE.jpg     the newest frame, its objects drawn in; --plain: not
  mask FILE.png        its label mask: palette index = id
  metrics, health      for Prometheus, for a watchdog (exit code 5: no frames)

  --control [HOST:]PORT  where it listens
  --control-token FILE   the token that it wants
  --stream NAME          of several streams
  --overwrite            replace FILE
Answers are JSON, a line each.
)";

/// The other end, and what it answers.
class Control {
 public:
  Control(const ControlConfig& config, std::string name)
      : client_(config.host, config.port),
        where_(config.host + ":" + std::to_string(config.port)),
        name_(std::move(name)) {
    if (!config.token.empty()) client_.set_bearer_token_auth(config.token);
    client_.set_connection_timeout(std::chrono::seconds(5));
    client_.set_read_timeout(std::chrono::seconds(60));  // a large refiner on a CPU
  }

  std::string get(const std::string& path) { return check(client_.Get(path)); }
  std::string post(const std::string& path, const std::string& body, const char* type) {
    return check(client_.Post(path, body, type));
  }

  /// The path of what belongs to the stream that is meant.
  std::string of_stream(const std::string& what) {
    return "/streams/" + stream().at("name").get<std::string>() + "/" + what;
  }

  /// Name, width and height of the stream that is meant.
  const Json& stream() {
    if (!stream_.is_null()) return stream_;
    const Json streams = parse(get("/streams")).at("streams");
    std::string names;
    for (const Json& each : streams) {
      const std::string name = each.at("name");
      names += (names.empty() ? "" : ", ") + name;
      if (name == name_ || (name_.empty() && streams.size() == 1)) stream_ = each;
    }
    if (stream_.is_null()) {
      throw UsageError("--stream: expected one of " + names + ", found " +
                       (name_.empty() ? "none" : "'" + name_ + "'"));
    }
    return stream_;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const { throw MediaError(where_ + ": " + reason); }

  Json parse(const std::string& text) const {
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) fail("expected JSON, found another answer");
    return json;
  }

  std::string check(const httplib::Result& result) const {
    if (!result && result.error() == httplib::Error::Connection) {
      fail("cannot be reached: expected a running hqtrack with --control, found nothing that listens");
    }
    if (!result) fail("cannot be reached: no answer (" + httplib::to_string(result.error()) + ")");
    if (result->get_header_value("Server") != "hqtrack") fail("expected hqtrack, found another server");
    if (result->status == 200) return result->body;
    const Json answer = parse(result->body);
    if (answer.contains("streams")) fail(unhealthy(answer["streams"]));
    fail(answer.value("error", "status " + std::to_string(result->status)));
  }

  /// "gate: no frame so far; yard: ..."
  static std::string unhealthy(const Json& streams) {
    std::string text;
    for (const auto& [name, health] : streams.items()) {
      if (health != "ok") text += (text.empty() ? "" : "; ") + name + ": " + health.get<std::string>();
    }
    return text;
  }

  httplib::Client client_;
  std::string where_, name_;
  Json stream_;  // null: not asked for so far
};

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

std::string prompt_json(const PromptEntry& entry, bool is_correction) {
  Json json = Json::object();
  if (is_correction) json["action"] = "correct";
  if (entry.id) json["id"] = *entry.id;
  if (!entry.name.empty()) json["name"] = entry.name;
  if (const auto& box = entry.box) json["box"] = {box->x0, box->y0, box->x1, box->y1};
  for (const PromptPoint& point : entry.points)
    json["points"].push_back({point.x, point.y, point.is_object ? 1 : 0});
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// One request for each object of a mask; with an id all of it is the one.
void post_mask(Control& control, const PromptEntry& entry, const std::map<int64_t, std::string>& names,
               bool is_correction) {
  if (entry.box || !entry.points.empty()) {
    throw UsageError(entry.source + ": expected a mask alone, found a box or points with it");
  }
  const Json& stream = control.stream();
  if (!stream.contains("height")) throw MediaError("no frame came so far");
  VideoInfo video;
  video.height = stream["height"];
  video.width = stream["width"];
  for (const ObjectPrompt& prompt : object_prompts(entry, video)) {
    const std::vector<uint8_t> png = encode_label_mask(prompt.mask.to(at::kByte));
    httplib::Params params = {{"id", std::to_string(prompt.id)}};
    if (is_correction) params.emplace("action", "correct");
    const auto named = names.find(prompt.id);
    const std::string name = named == names.end() ? prompt.name : named->second;
    if (!name.empty()) params.emplace("name", name);
    print(control.post(httplib::append_query_params(control.of_stream("prompts"), params),
                       std::string(png.begin(), png.end()), "image/png"));
  }
}

/// Of an object that is followed already, or of new ones.
void post_prompts(Control& control, const CommandLine& line, std::optional<int64_t> corrected) {
  const PromptArguments prompts = parse_prompts(line);
  if (prompts.entries.empty() || (corrected && prompts.entries.size() > 1)) {
    throw UsageError(std::string("expected ") + (corrected ? "one object" : "an object") +
                     " (--box, --point or --mask), found " + (prompts.entries.empty() ? "none" : "several"));
  }
  for (PromptEntry entry : prompts.entries) {
    if (corrected && entry.id)
      throw UsageError("--id: has no meaning here: the object to correct is named before");
    if (corrected) entry.id = corrected;
    if (!entry.mask.empty()) {
      post_mask(control, entry, prompts.names, corrected.has_value());
      continue;
    }
    if (entry.id && entry.name.empty() && prompts.names.contains(*entry.id))
      entry.name = prompts.names.at(*entry.id);
    print(control.post(control.of_stream("prompts"), prompt_json(entry, corrected.has_value()),
                       "application/json"));
  }
}

/// Options that would be ignored.
void check_prompt_options(const CommandLine& line, bool takes_prompts) {
  for (const char* option : {"box", "point", "mask", "name", "id"}) {
    if (!takes_prompts && line.has(option))
      throw UsageError("--" + std::string(option) + ": has no meaning here");
  }
  for (const char* option : {"at", "detections", "min-score"}) {
    if (line.has(option)) throw UsageError("--" + std::string(option) + ": has no meaning here");
  }
}

void save(const std::string& bytes, const fs::path& file, bool overwrites) {
  if (fs::exists(file) && !overwrites) {
    throw OutputError(file.string() + ": exists already; --overwrite replaces it");
  }
  write_file(file, bytes);
}

void follow(const std::string& command, const CommandLine& line, Control& control) {
  const bool is_of_one = command == "correct" || command == "remove";
  const bool has_file = command == "picture" || command == "mask";
  if (command == "streams" || command == "metrics") print(control.get("/" + command));
  if (command == "health") print(control.get("/healthz"));
  if (command == "list") print(control.get(control.of_stream("objects")));
  if (command == "add") post_prompts(control, line, std::nullopt);
  if (is_of_one) {
    const int64_t id = parse_integer("ID", line.positional[1], 1, 255);
    if (command == "correct") {
      post_prompts(control, line, id);
    } else {
      const Json removal = {{"action", "remove"}, {"id", id}};
      print(control.post(control.of_stream("prompts"), removal.dump(), "application/json"));
    }
  }
  if (has_file) {
    const std::string what = command == "mask"                  ? "mask.png"
                             : line.options["plain"].as<bool>() ? "picture.jpg?plain"
                                                                : "picture.jpg";
    save(control.get(control.of_stream(what)), line.positional[1], line.options["overwrite"].as<bool>());
  }
}

}  // namespace

int run_ctl(std::span<const std::string> args) {
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  add_prompt_options(options);
  options.add_options()("control", text())("control-token", text())("stream", text())(
      "plain", po::bool_switch())("overwrite", po::bool_switch());
  const auto line = parse_command_line(args, kHelp, options, {"COMMAND", "WHAT"}, 1);
  if (!line) return static_cast<int>(ExitCode::kSuccess);
  const std::string& command = line->positional[0];
  const std::vector<std::string> commands = {"streams", "list", "add",     "correct", "remove",
                                             "picture", "mask", "metrics", "health"};
  if (std::ranges::find(commands, command) == commands.end()) {
    const std::string near = nearest(command, commands);
    throw UsageError("'" + command + "': unknown command" +
                     (near.empty() ? "; see hqtrack ctl --help" : "; did you mean " + near + "?"));
  }
  const bool needs_id = command == "correct" || command == "remove";
  const bool needs_file = command == "picture" || command == "mask";
  if ((needs_id || needs_file) != (line->positional.size() > 1)) {
    throw UsageError("ctl " + command + ": expected " +
                     (needs_id     ? "an ID"
                      : needs_file ? "a FILE"
                                   : "nothing") +
                     " behind it, found " +
                     (line->positional.size() > 1 ? "'" + line->positional[1] + "'" : "nothing"));
  }
  check_prompt_options(*line, command == "add" || command == "correct");
  const auto config = parse_control(*line);
  if (!config) throw UsageError("expected --control [HOST:]PORT, found none");
  Control control(*config, line->text("stream"));

  try {
    follow(command, *line, control);
  } catch (const Json::exception&) {
    throw MediaError(line->text("control") + ": expected the answers of hqtrack, found other ones");
  }
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
