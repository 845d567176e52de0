#include "cli/serve_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <span>

#include "core/error.h"
#include "io/outputs.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

// Keys of a stream beside `input`: options of `hqtrack track`.
const std::vector<std::string> kStreamOptions = {"output",         "segment", "events",      "prompts",
                                                 "rtsp-transport", "timeout", "max-latency", "max-outage",
                                                 "stats",          "hwaccel"};

class Reader {
 public:
  explicit Reader(const fs::path& file) : file_(file) {}

  ServeConfig read() const {
    const YAML::Node root = load();
    if (!root.IsMap()) fail(root, "expected keys, found none");
    ServeConfig config;
    check_keys(root, "",
               {"control", "control-token", "config", "weights", "set", "device", "threads", "streams"});
    const auto text = [&](const char* key) { return root[key] ? scalar(root[key], key) : std::string(); };
    if (const YAML::Node control = root["control"]) {
      guarded(control, "control",
              [&] { config.control = parse_control_address("control", text("control")); });
    }
    if (const YAML::Node token = root["control-token"]) {
      if (!config.control) fail(token, "control-token: expected control with it, found none");
      const std::string file = text("control-token");
      guarded(token, "control-token",
              [&] { config.control->token = read_control_token("control-token", file); });
    }
    if (config.control)
      guarded(root["control"], "control", [&] { check_control("control", *config.control); });
    config.network.config_file = text("config");
    config.network.weights_file = text("weights");
    if (const YAML::Node node = root["device"]) {
      const std::string device = text("device");
      guarded(node, "device", [&] { config.network.device = parse_device("device", device); });
    }
    if (root["set"]) config.network.overrides = list(root["set"], "set");
    if (const YAML::Node node = root["threads"]) {
      const std::string threads = text("threads");
      guarded(node, "threads",
              [&] { config.network.num_threads = parse_integer("threads", threads, 1, 1024); });
    }
    const YAML::Node streams = root["streams"];
    if (!streams || !streams.IsMap() || streams.size() == 0) {
      fail(streams ? streams : root, "streams: expected at least one stream by its name, found none");
    }
    for (const auto& pair : streams) {
      config.streams.push_back(read_stream(pair.first, pair.second, config.control.has_value()));
    }
    for (size_t i = 0; i < config.streams.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (config.streams[i].name == config.streams[j].name) {
          fail(streams, "streams: expected different names, found " + config.streams[i].name + " twice");
        }
      }
    }
    return config;
  }

 private:
  YAML::Node load() const {
    std::ifstream in(file_);
    if (!in || fs::is_directory(file_)) {
      throw ConfigError(file_.string() + ": expected a YAML file, found none that can be read");
    }
    try {
      return YAML::Load(in);
    } catch (const YAML::Exception& error) {
      throw ConfigError(file_.string() + ":" + std::to_string(error.mark.line + 1) +
                        ": expected YAML, found " + error.msg);
    }
  }

  [[noreturn]] void fail(const YAML::Node& node, const std::string& message) const {
    throw ConfigError(file_.string() + ":" + std::to_string(std::max(0, node.Mark().line) + 1) + ": " +
                      message);
  }

  void check_keys(const YAML::Node& map, const std::string& prefix,
                  const std::vector<std::string>& known) const {
    std::vector<std::string> seen;
    for (const auto& pair : map) {
      const std::string key = pair.first.Scalar();
      if (std::ranges::find(known, key) == known.end()) {
        const std::string near = nearest(key, known);
        fail(pair.first,
             prefix + key + ": unknown key" + (near.empty() ? "" : "; did you mean " + near + "?"));
      }
      if (std::ranges::find(seen, key) != seen.end())
        fail(pair.first, prefix + key + ": expected once, found twice");
      seen.push_back(key);
    }
  }

  std::string scalar(const YAML::Node& node, const std::string& key) const {
    if (!node.IsScalar() || node.Scalar().empty())
      fail(node, key + ": expected a value, found another thing");
    return node.Scalar();
  }

  std::vector<std::string> list(const YAML::Node& node, const std::string& key) const {
    if (!node.IsSequence()) return {scalar(node, key)};
    std::vector<std::string> values;
    for (const YAML::Node& item : node) values.push_back(scalar(item, key));
    return values;
  }

  /// Errors of the command line, at the line of the file.
  template <class Work>
  void guarded(const YAML::Node& node, const std::string& prefix, Work work) const {
    try {
      work();
    } catch (const Error& error) {
      std::string text = error.what();
      if (text.starts_with("--")) text = text.substr(2);
      fail(node, (text.starts_with(prefix) ? "" : prefix + ": ") + text);
    }
  }

  ServedStream read_stream(const YAML::Node& name_node, const YAML::Node& node, bool has_control) const {
    const std::string name = name_node.Scalar();
    const bool is_name = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](unsigned char c) {
      return std::isalnum(c) || c == '-' || c == '_';
    });
    if (!is_name)
      fail(name_node, "streams: expected names of letters, digits, - and _, found '" + name + "'");
    const std::string key = "streams." + name;
    if (!node.IsMap()) fail(name_node, key + ": expected keys, found none");
    std::vector<std::string> known = kStreamOptions;
    known.push_back("input");
    check_keys(node, key + ".", known);
    if (!node["input"]) fail(node, key + ": expected input, found none");
    const std::string input = scalar(node["input"], key + ".input");
    if (input.starts_with('-'))
      fail(node["input"], key + ".input: expected an address or a device, found '" + input + "'");
    std::vector<std::string> args = {input, "--live"};
    for (const std::string& option : kStreamOptions) {
      if (!node[option]) continue;
      for (const std::string& value : list(node[option], key + "." + option))
        args.push_back("--" + option + "=" + value);
    }
    ServedStream stream{.name = name, .arguments = {}};
    guarded(node, key, [&] {
      stream.arguments = *parse_track_arguments(args);
      check_asked(stream.arguments, has_control);
    });
    stream.arguments.is_quiet = true;  // no progress
    stream.arguments.appends = true;   // a stream may be begun anew at any time
    for (const auto& outputs : {stream.arguments.video_outputs, stream.arguments.event_outputs}) {
      if (std::ranges::find(outputs, "-") != outputs.end()) {
        fail(node, key + ": expected no output to standard output, found one");
      }
    }
    const bool has_file = !std::ranges::all_of(stream.arguments.video_outputs, is_stream_output);
    if (has_file && !stream.arguments.segment_us) {
      fail(node, key + ": expected segment, as recordings of streams go on and on, found none");
    }
    return stream;
  }

  fs::path file_;
};

}  // namespace

ServeConfig read_serve_config(const fs::path& file) { return Reader(file).read(); }

}  // namespace hqtrack
