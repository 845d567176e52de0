#include "cli/serve_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <span>

#include "core/error.h"
#include "core/log.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

// Keys of a stream beside `input`: options of `hqtrack track`.
const std::vector<std::string> kStreamOptions = {"output",     "segment",        "masks",   "events",
                                                 "prompts",    "rtsp-transport", "timeout", "max-latency",
                                                 "max-outage", "stats",          "hwaccel"};

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
    guarded(root["control"], "control", [&] {
      if (root["control"]) config.control = parse_control_address("control", text("control"));
      if (!root["control-token"]) return;
      if (!config.control) throw UsageError("control-token: expected control with it, found none");
      config.control->token = read_control_token("control-token", text("control-token"));
    });
    config.network.config_file = text("config");
    config.network.weights_file = text("weights");
    if (root["device"]) config.network.device = text("device");
    if (root["set"]) config.network.overrides = list(root["set"], "set");
    guarded(root["threads"], "threads", [&] {
      if (root["threads"]) config.network.num_threads = parse_integer("threads", text("threads"), 1, 1024);
    });
    const YAML::Node streams = root["streams"];
    if (!streams || !streams.IsMap() || streams.size() == 0) {
      fail(streams ? streams : root, "streams: expected at least one stream by its name, found none");
    }
    for (const auto& pair : streams) config.streams.push_back(read_stream(pair.first, pair.second));
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
    try {
      return YAML::LoadFile(file_.string());
    } catch (const YAML::BadFile&) {
      throw ConfigError(file_.string() + ": expected a YAML file, found none that can be read");
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

  ServedStream read_stream(const YAML::Node& name_node, const YAML::Node& node) const {
    const std::string name = name_node.Scalar();
    const bool is_name = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](unsigned char c) {
      return std::isalnum(c) || c == '-' || c == '_';
    });
    if (!is_name)
      fail(name_node, "streams: expected names of letters, digits, - and _, found '" + name + "'");
    const std::string key = "streams." + name;
    if (!node.IsMap()) fail(name_node, key + ": expected keys, found none");
    std::vector<std::string> known = kStreamOptions;
    known.insert(known.end(), {"input", "overwrite"});
    check_keys(node, key + ".", known);
    if (!node["input"]) fail(node, key + ": expected input, found none");
    std::vector<std::string> args = {scalar(node["input"], key + ".input"), "--live"};
    for (const std::string& option : kStreamOptions) {
      if (!node[option]) continue;
      for (const std::string& value : list(node[option], key + "." + option))
        args.push_back("--" + option + "=" + value);
    }
    if (const YAML::Node overwrite = node["overwrite"]) {
      const std::string text = scalar(overwrite, key + ".overwrite");
      if (text != "true" && text != "false")
        fail(overwrite, key + ".overwrite: expected true or false, found '" + text + "'");
      if (text == "true") args.push_back("--overwrite");
    }
    ServedStream stream{.name = name, .arguments = {}};
    guarded(node, key, [&] { stream.arguments = *parse_track_arguments(args); });
    stream.arguments.is_quiet = true;  // no progress
    for (const auto& outputs : {stream.arguments.video_outputs, stream.arguments.event_outputs}) {
      if (std::ranges::find(outputs, "-") != outputs.end())
        fail(node, key + ": expected no output to standard output, found one");
    }
    return stream;
  }

  fs::path file_;
};

}  // namespace

ServeConfig read_serve_config(const fs::path& file) { return Reader(file).read(); }

}  // namespace hqtrack
