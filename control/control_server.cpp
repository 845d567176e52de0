#include "control/control_server.h"

#include <arpa/inet.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "control/http_server.h"
#include "control/metrics.h"
#include "control/preview_page.h"
#include "core/error.h"
#include "core/one_line.h"
#include "io/event_line.h"
#include "io/mask_reader.h"
#include "io/overlay.h"
#include "io/prompt_file.h"

namespace hqtrack {
namespace {

using Json = nlohmann::ordered_json;
using Stream = ControlledStream;
using std::chrono::milliseconds;

// So many at a time, so that they leave connections to the others.
constexpr int kMostViewers = 8, kMostPrompts = 8;
constexpr size_t kMostPoints = 64, kLongestName = 200;
constexpr size_t kShortestToken = 16;
constexpr int64_t kPreviewEdge = 960, kWholePicture = 1 << 16;  // pixels
constexpr milliseconds kPromptTimeout{10'000};                  // until a frame comes
constexpr const char* kRetryAfter = "5";                        // seconds

bool is_this_machine(const std::string& host) {
  in_addr address{};
  const bool is_v4 = ::inet_pton(AF_INET, host.c_str(), &address) == 1;
  return host == "localhost" || host == "::1" || (is_v4 && ntohl(address.s_addr) >> 24 == 127);
}

/// "[::1]:8080" and "name:80" without the port, lower case; empty for what is none.
std::string host_name(std::string host) {
  std::ranges::transform(host, host.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!host.starts_with('[')) return host.substr(0, host.find(':'));
  const size_t end = host.find(']');
  return end == std::string::npos ? std::string() : host.substr(1, end - 1);
}

/// In a time that does not tell where they differ.
bool is_same_secret(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && !b.empty(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i % b.size()]);
  }
  return difference == 0;
}

std::string trimmed(std::string text) {
  const auto is_blank = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  return {std::ranges::find_if_not(text, is_blank), text.end()};
}

/// A request that is not followed: its status, and why.
struct Refusal {
  int status;
  std::string reason;
};

HttpResponse json_response(const Json& json, int status = 200) {
  return {.status = status, .body = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

HttpResponse bytes_response(const std::vector<uint8_t>& bytes, const char* type) {
  return {.type = type, .body = std::string(bytes.begin(), bytes.end())};
}

Json frame_json(const TrackedFrame& frame) { return Json::parse(event_line(frame)); }

/// One of several at a time, as long as it lives.
class Place {
 public:
  Place(std::atomic<int>& taken, int most, const char* what) : taken_(taken) {
    if (++taken_ <= most) return;
    --taken_;
    throw Refusal{503, "expected at most " + std::to_string(most) + " " + what + " at a time"};
  }
  ~Place() { --taken_; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  std::atomic<int>& taken_;
};

/// Width and height of a PNG by its head; 0 where it has none.
std::pair<int64_t, int64_t> png_size(const std::string& png) {
  const auto number = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = at; i < at + 4; ++i) value = 256 * value + static_cast<unsigned char>(png[i]);
    return value;
  };
  if (png.size() < 24 || !png.starts_with("\x89PNG")) return {0, 0};
  return {number(16), number(20)};
}

}  // namespace

ControlConfig parse_control_address(const std::string& option, const std::string& text) {
  ControlConfig config;
  const size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  if (colon != std::string::npos) config.host = text.substr(0, colon);
  if (config.host.starts_with('[') && config.host.ends_with(']')) {
    config.host = config.host.substr(1, config.host.size() - 2);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), config.port);
  const bool is_number = error == std::errc{} && end == port.data() + port.size() && !port.empty();
  if (!is_number || config.port < 0 || config.port > 65535 || config.host.empty() ||
      (config.host.find(':') != std::string::npos && !text.starts_with('['))) {
    throw UsageError(option + ": expected PORT, HOST:PORT or [IPV6]:PORT, found '" + text + "'");
  }
  return config;
}

std::string read_control_token(const std::string& option, const std::string& file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  const std::string token = trimmed(line);
  if (token.size() < kShortestToken) {
    throw UsageError(option + ": " + file + ": expected a first line of at least 16 characters, found " +
                     (in.is_open() ? std::to_string(token.size()) : "no such file"));
  }
  return token;
}

void check_control(const std::string& option, const ControlConfig& config) {
  if (is_this_machine(config.host) || !config.token.empty()) return;
  throw UsageError(option + ": expected a control token for " + config.host +
                   ", which others reach, found none");
}

class ControlServer::Impl {
 public:
  Impl(const ControlConfig& config, std::vector<std::shared_ptr<Stream>> streams)
      : config_(config), streams_(std::move(streams)) {
    check_control("--control", config);
    server_ = std::make_unique<HttpServer>(
        config.host, config.port,
        HttpServer::Handler{
            .refuse = [this](const HttpRequest& request) -> std::optional<HttpResponse> {
              HttpResponse response = guarded([&] {
                admit(request);
                return HttpResponse{.status = 0};
              });
              if (response.status == 0) return std::nullopt;
              return response;
            },
            .answer =
                [this](const HttpRequest& request) { return guarded([&] { return answer(request); }); }});
  }

  ~Impl() {
    is_ending_ = true;
    for (const auto& stream : streams_) stream->prompts->close();
  }

  const std::string& url() const { return server_->url(); }

 private:
  template <class Work>
  static HttpResponse guarded(Work work) {
    const auto refuse = [&](int status, const std::string& reason) {
      HttpResponse response = json_response({{"error", reason}}, status);
      if (status == 503) response.headers["Retry-After"] = kRetryAfter;
      return response;
    };
    try {
      return work();
    } catch (const Refusal& refusal) {
      return refuse(refusal.status, refusal.reason);
    } catch (const LivePrompts::Unanswered& error) {
      return refuse(503, error.what());
    } catch (const LivePrompts::Ended& error) {
      return refuse(410, error.what());
    } catch (const PromptError& error) {
      return refuse(422, error.what());
    } catch (const MediaError& error) {
      return refuse(400, error.what());
    } catch (const std::exception& error) {
      return refuse(500, one_line(error));
    }
  }

  void admit(const HttpRequest& request) const {
    // A page of another site may send requests here, show pictures of here, and call this machine by a name
    // of its own.
    if (config_.token.empty() && !is_this_machine(host_name(request.host))) {
      throw Refusal{403, "Host: expected this machine's own name, found '" + request.host + "'"};
    }
    const std::string& origin = request.origin;
    if (!origin.empty() && origin != "http://" + request.host && origin != "https://" + request.host) {
      throw Refusal{403, "Origin: expected a page of this server, found '" + origin + "'"};
    }
    if (request.fetch_site == "cross-site" || request.fetch_site == "same-site") {
      throw Refusal{403, "Sec-Fetch-Site: expected a page of this server, found another one"};
    }
    if (request.method != "GET" && request.method != "POST") {
      throw Refusal{405, "expected GET or POST, found " + request.method};
    }
    if (config_.token.empty() || request.path == "/" || request.path == "/healthz") return;
    std::string token = request.authorization;
    const size_t blank = token.find(' ');
    if (blank != std::string::npos) token = trimmed(token.substr(blank));              // behind "Bearer"
    if (token.empty() && request.method == "GET") token = request.parameter("token");  // of an <img>
    if (!is_same_secret(token, config_.token))
      throw Refusal{401, "expected the token, found another one or none"};
  }

  HttpResponse answer(const HttpRequest& request) {
    const std::string& path = request.path;
    const std::string kStreams = "/streams/";
    if (request.method == "GET") {
      if (path == "/") return page();
      if (path == "/healthz") return health();
      if (path == "/metrics") return {.type = "text/plain; version=0.0.4", .body = metrics_text(streams_)};
      if (path == "/streams") return list_streams();
    }
    const size_t slash = path.rfind('/');
    if (!path.starts_with(kStreams) || slash < kStreams.size()) throw Refusal{404, "no such address"};
    const std::string what = path.substr(slash + 1);
    Stream& stream = stream_of(path.substr(kStreams.size(), slash - kStreams.size()));
    if (request.method == "POST" && what == "prompts") return follow_prompt(stream, request);
    if (request.method == "GET") {
      if (what == "objects") return json_response(frame_json(*newest(stream)));
      if (what == "mask.png")
        return bytes_response(encode_label_mask(newest(stream)->label_mask), "image/png");
      if (what == "preview.mjpeg") return preview(stream);
      if (what == "picture.jpg") {
        const bool is_plain = request.query.contains("plain");
        return bytes_response(picture(stream, *newest(stream), is_plain, kWholePicture), "image/jpeg");
      }
    }
    throw Refusal{404, "no such address"};
  }

  static HttpResponse page() {
    return {.type = "text/html; charset=utf-8",
            .body = kPreviewPage,
            .headers = {
                {"Content-Security-Policy",
                 "default-src 'none'; img-src 'self' blob:; connect-src 'self'; style-src 'unsafe-inline'; "
                 "script-src 'unsafe-inline'; frame-ancestors 'none'"}}};
  }

  Stream& stream_of(const std::string& name) const {
    for (const auto& stream : streams_) {
      if (stream->name() == name) return *stream;
    }
    throw Refusal{404, "no stream '" + name + "'"};
  }

  static std::shared_ptr<const TrackedFrame> newest(const Stream& stream) {
    auto frame = stream.latest();
    if (!frame) throw Refusal{503, "no frame came so far"};
    return frame;
  }

  static std::vector<uint8_t> picture(const Stream& stream, const TrackedFrame& frame, bool is_plain,
                                      int64_t longest_edge) {
    return encode_jpeg(is_plain ? frame.frame.image : Overlay(stream.overlay()).draw(frame), longest_edge);
  }

  static std::string health_of(const Stream& stream) {
    const auto age = stream.age();
    if (stream.is_healthy()) return "ok";
    if (!age) return "no frame so far";
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*age).count();
    return (stream.monitor->is_receiving ? "no frame for " : "an outage, no frame for ") +
           std::to_string(seconds) + " s";
  }

  HttpResponse health() const {
    Json streams = Json::object();
    bool is_healthy = true;
    for (const auto& stream : streams_) {
      const std::string health = health_of(*stream);
      is_healthy &= health == "ok";
      streams[stream->name()] = health;
    }
    return json_response({{"status", is_healthy ? "ok" : "no frames"}, {"streams", streams}},
                         is_healthy ? 200 : 503);
  }

  HttpResponse list_streams() const {
    Json list = Json::array();
    for (const auto& stream : streams_) {
      Json json = {{"name", stream->name()}, {"is_receiving", stream->monitor->is_receiving.load()}};
      if (const auto frame = stream->latest()) {
        json["width"] = frame->label_mask.size(1);
        json["height"] = frame->label_mask.size(0);
      }
      list.push_back(json);
    }
    return json_response({{"streams", list}});
  }

  HttpResponse follow_prompt(Stream& stream, const HttpRequest& request) {
    const Place place(num_prompts_, kMostPrompts, "prompts");
    PromptEdit edit = read_prompt(stream, request);
    if (edit.prompt.points.size() > kMostPoints) {
      throw Refusal{400, "points: expected at most " + std::to_string(kMostPoints) + ", found " +
                             std::to_string(edit.prompt.points.size())};
    }
    if (edit.prompt.name.size() > kLongestName) {
      throw Refusal{400, "name: expected at most " + std::to_string(kLongestName) + " bytes, found " +
                             std::to_string(edit.prompt.name.size())};
    }
    const LivePrompts::Followed followed = stream.prompts->follow(std::move(edit), kPromptTimeout);
    // Who asks next shall find it in the newest frame.
    auto shown = stream.latest();
    while (shown && shown->frame.index < followed.frame.frame.index)
      shown = stream.next(shown, milliseconds(1000));
    return json_response({{"id", followed.id}, {"frame", frame_json(followed.frame)}});
  }

  /// JSON as in prompt files; or a PNG, a mask of one object, with `id` and `name` in the address.
  static PromptEdit read_prompt(const Stream& stream, const HttpRequest& request) {
    PromptEdit edit;
    if (!request.content_encoding.empty()) throw Refusal{415, "Content-Encoding: expected none"};
    if (request.content_type.starts_with("image/png")) {
      const auto frame = stream.next(nullptr, kPromptTimeout);
      if (!frame) throw LivePrompts::Unanswered("no frame came in time");
      edit.prompt.mask = read_mask(*frame, request.body);
      edit.prompt.name = request.parameter("name");
      if (const std::string action = request.parameter("action"); action == "correct") {
        edit.action = PromptEdit::Action::kCorrect;
      } else if (!action.empty() && action != "add") {
        throw Refusal{400, "action: expected add or correct, found '" + action + "'"};
      }
      const std::string id = request.parameter("id");
      const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), edit.prompt.id);
      const bool is_id = error == std::errc{} && end == id.data() + id.size() && edit.prompt.id >= 1 &&
                         edit.prompt.id <= 255;
      const bool may_lack = id.empty() && edit.action == PromptEdit::Action::kAdd;
      if (!is_id && !may_lack) {
        throw Refusal{400, "id: expected a whole number from 1 to 255, found '" + id + "'"};
      }
      return edit;
    }
    if (!request.content_type.starts_with("application/json")) {
      throw Refusal{
          415, "Content-Type: expected application/json or image/png, found '" + request.content_type + "'"};
    }
    PromptEntry entry = parse_prompt(request.body, "request");
    edit.action = entry.action.value_or(PromptEdit::Action::kAdd);
    edit.prompt.id = entry.id.value_or(0);
    edit.prompt.name = std::move(entry.name);
    edit.prompt.box = entry.box;
    edit.prompt.points = std::move(entry.points);
    return edit;
  }

  static at::Tensor read_mask(const TrackedFrame& frame, const std::string& png) {
    const int64_t height = frame.label_mask.size(0), width = frame.label_mask.size(1);
    const auto [its_width, its_height] = png_size(png);
    // Before it is decoded: few bytes may be many pixels.
    if (its_width != width || its_height != height) {
      throw Refusal{400, "mask: expected a PNG of " + std::to_string(width) + "x" + std::to_string(height) +
                             ", found one of " + std::to_string(its_width) + "x" +
                             std::to_string(its_height)};
    }
    return read_label_mask({reinterpret_cast<const uint8_t*>(png.data()), png.size()}, "mask").ne(0);
  }

  HttpResponse preview(const Stream& stream) {
    auto place = std::make_shared<Place>(num_viewers_, kMostViewers, "viewers");
    const std::string boundary = "hqtrackframe";
    return {
        .type = "multipart/x-mixed-replace; boundary=" + boundary,
        .next_part = [this, &stream, boundary, place = std::move(place),
                      last = std::shared_ptr<const TrackedFrame>()]() mutable -> std::optional<std::string> {
          if (is_ending_) return std::nullopt;
          auto frame = stream.next(last, milliseconds(200));
          if (!frame) return std::string();
          last = std::move(frame);
          const std::vector<uint8_t> bytes = picture(stream, *last, false, kPreviewEdge);
          return "--" + boundary +
                 "\r\nContent-Type: image/jpeg\r\nContent-Length: " + std::to_string(bytes.size()) +
                 "\r\n\r\n" + std::string(bytes.begin(), bytes.end()) + "\r\n";
        }};
  }

  ControlConfig config_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::atomic<int> num_viewers_ = 0, num_prompts_ = 0;
  std::atomic<bool> is_ending_ = false;
  std::unique_ptr<HttpServer> server_;  // last: it calls the others
};

ControlServer::ControlServer(const ControlConfig& config,
                             std::vector<std::shared_ptr<ControlledStream>> streams)
    : impl_(std::make_unique<Impl>(config, std::move(streams))) {}
ControlServer::~ControlServer() = default;
const std::string& ControlServer::url() const { return impl_->url(); }

}  // namespace hqtrack
