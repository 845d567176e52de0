#include "control/control_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "control/metrics.h"
#include "control/preview_page.h"
#include "core/error.h"
#include "core/threads.h"
#include "io/event_line.h"
#include "io/mask_reader.h"
#include "io/overlay.h"
#include "io/prompt_file.h"

namespace hqtrack {
namespace {

using Json = nlohmann::ordered_json;
using Stream = ControlledStream;
using std::chrono::milliseconds;

constexpr size_t kThreads = 16;
constexpr int kMostViewers = 8;                 // of previews, each of which keeps a thread
constexpr size_t kLargestRequest = 16 << 20;    // bytes: a mask
constexpr int64_t kPreviewEdge = 960;           // pixels
constexpr milliseconds kPromptTimeout{10'000};  // until a frame comes
constexpr const char* kBoundary = "hqtrackframe";

bool is_loopback_name(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// "[::1]:8080" and "name:80" without the port, lower case.
std::string host_name(std::string host) {
  std::ranges::transform(host, host.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

/// In a time that does not tell where they differ.
bool is_same_secret(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && !b.empty(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i % b.size()]);
  }
  return difference == 0;
}

/// A request that is not followed: its status, and why.
struct Refusal {
  int status;
  std::string reason;
};

void answer(httplib::Response& response, const Json& json) {
  response.set_content(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", "application/json");
}

template <class Bytes>
void answer_bytes(httplib::Response& response, const Bytes& bytes, const char* type) {
  response.set_content(reinterpret_cast<const char*>(bytes.data()), bytes.size(), type);
}

Json frame_json(const TrackedFrame& frame) { return Json::parse(event_line(frame)); }

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
  if (!is_number || config.port < 0 || config.port > 65535 || config.host.empty()) {
    throw UsageError(option + ": expected PORT or HOST:PORT, found '" + text + "'");
  }
  return config;
}

std::string read_control_token(const std::string& option, const std::string& file) {
  std::string token;
  std::ifstream in(file);
  std::getline(in, token);
  if (!token.empty() && token.back() == '\r') token.pop_back();
  if (token.size() < 16) {
    throw UsageError(option + ": " + file + ": expected a first line of at least 16 characters, found " +
                     (in.is_open() ? std::to_string(token.size()) : "no such file"));
  }
  return token;
}

class ControlServer::Impl {
 public:
  Impl(const ControlConfig& config, std::vector<std::shared_ptr<Stream>> streams)
      : config_(config), streams_(std::move(streams)) {
    const bool is_here = is_loopback_name(config.host);
    if (!is_here && config.token.empty()) {
      throw UsageError("--control: " + config.host +
                       ": expected --control-token for an address that others reach, found none");
    }
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_payload_max_length(kLargestRequest);
    server_.set_tcp_nodelay(true);
    server_.set_keep_alive_timeout(1);  // an end waits for idle connections
    // The library's own would let a second program share the port.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    set_routes();
    bind();
    listener_ = std::jthread([this] {
      give_way();  // and so do the threads that answer
      server_.listen_after_bind();
    });
    while (!server_.is_running()) std::this_thread::sleep_for(milliseconds(1));
  }

  ~Impl() {
    is_ending_ = true;
    for (const auto& stream : streams_) stream->prompts->close();
    server_.stop();
  }

  const std::string& url() const { return url_; }

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;

  void bind() {
    errno = 0;
    if (config_.port == 0) {
      config_.port = server_.bind_to_any_port(config_.host);
    } else if (!server_.bind_to_port(config_.host, config_.port)) {
      config_.port = -1;
    }
    const bool is_v6 = config_.host.find(':') != std::string::npos;
    const std::string host = is_v6 ? "[" + config_.host + "]" : config_.host;
    if (config_.port <= 0) {
      throw OutputError("--control: " + host + ": cannot listen there" +
                        (errno != 0 ? std::string(": ") + std::strerror(errno) : ""));
    }
    url_ = "http://" + host + ":" + std::to_string(config_.port);
  }

  void set_routes() {
    server_.set_pre_routing_handler([this](const Request& request, Response& response) {
      return guarded(response, [&] { admit(request); }) ? httplib::Server::HandlerResponse::Unhandled
                                                        : httplib::Server::HandlerResponse::Handled;
    });
    server_.set_error_handler([](const Request&, Response& response) {
      if (response.body.empty()) {
        answer(response, {{"error", response.status == 404 ? "no such address"
                                                           : "status " + std::to_string(response.status)}});
      }
    });
    const auto get = [this](const char* path, auto handler) {
      server_.Get(path, [this, handler](const Request& request, Response& response) {
        guarded(response, [&] { handler(request, response); });
      });
    };
    get("/", [](const Request&, Response& response) {
      response.set_header(
          "Content-Security-Policy",
          "default-src 'none'; img-src 'self' blob:; connect-src 'self'; style-src 'unsafe-inline'; "
          "script-src 'unsafe-inline'; frame-ancestors 'none'");
      response.set_content(kPreviewPage, "text/html; charset=utf-8");
    });
    get("/healthz", [this](const Request&, Response& response) { show_health(response); });
    get("/metrics", [this](const Request&, Response& response) {
      response.set_content(metrics_text(streams_), "text/plain; version=0.0.4");
    });
    get("/streams", [this](const Request&, Response& response) { list_streams(response); });
    get("/streams/([^/]+)/objects", [this](const Request& request, Response& response) {
      answer(response, frame_json(*newest(stream_of(request))));
    });
    get("/streams/([^/]+)/picture.jpg", [this](const Request& request, Response& response) {
      const Stream& stream = stream_of(request);
      answer_bytes(response, picture(stream, *newest(stream), request.has_param("plain"), kWholePicture),
                   "image/jpeg");
    });
    get("/streams/([^/]+)/mask.png", [this](const Request& request, Response& response) {
      answer_bytes(response, encode_label_mask(newest(stream_of(request))->label_mask), "image/png");
    });
    get("/streams/([^/]+)/preview.mjpeg",
        [this](const Request& request, Response& response) { show_preview(request, response); });
    server_.Post("/streams/([^/]+)/prompts", [this](const Request& request, Response& response) {
      guarded(response, [&] { follow_prompt(request, response); });
    });
  }

  static constexpr int64_t kWholePicture = 1 << 16;

  /// False when it was refused, which the response says then.
  template <class Work>
  static bool guarded(Response& response, Work work) {
    const auto refuse = [&](int status, const std::string& reason) {
      response.status = status;
      answer(response, {{"error", reason}});
      return false;
    };
    try {
      work();
      return true;
    } catch (const Refusal& refusal) {
      return refuse(refusal.status, refusal.reason);
    } catch (const LivePrompts::Unanswered& error) {
      return refuse(503, error.what());
    } catch (const PromptError& error) {
      return refuse(422, error.what());
    } catch (const MediaError& error) {
      return refuse(400, error.what());
    } catch (const std::exception& error) {
      return refuse(500, error.what());
    }
  }

  void admit(const Request& request) const {
    const std::string host = request.get_header_value("Host");
    // A page of another site may send requests here, and may even call this machine by its own name.
    if (config_.token.empty() && !is_loopback_name(host_name(host))) {
      throw Refusal{403, "Host: expected this machine's own name, found '" + host + "'"};
    }
    const std::string origin = request.get_header_value("Origin");
    if (!origin.empty() && origin != "http://" + host && origin != "https://" + host) {
      throw Refusal{403, "Origin: expected a page of this server, found '" + origin + "'"};
    }
    if (config_.token.empty() || request.path == "/" || request.path == "/healthz") return;
    std::string token = request.get_header_value("Authorization");
    if (const std::string kind = "Bearer "; token.starts_with(kind)) token = token.substr(kind.size());
    if (token.empty() && request.method == "GET") token = request.get_param_value("token");  // of an <img>
    if (!is_same_secret(token, config_.token))
      throw Refusal{401, "expected the token, found another one or none"};
  }

  Stream& stream_of(const Request& request) const {
    const std::string name = request.matches[1];
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

  void show_health(Response& response) const {
    Json streams = Json::object();
    bool is_healthy = true;
    for (const auto& stream : streams_) {
      is_healthy &= stream->is_healthy();
      streams[stream->name()] = stream->is_healthy() ? "ok" : "no frames";
    }
    if (!is_healthy) response.status = 503;
    answer(response, {{"status", is_healthy ? "ok" : "no frames"}, {"streams", streams}});
  }

  void list_streams(Response& response) const {
    Json list = Json::array();
    for (const auto& stream : streams_) {
      Json json = {{"name", stream->name()}, {"is_receiving", stream->monitor->is_receiving.load()}};
      if (const auto frame = stream->latest()) {
        json["width"] = frame->label_mask.size(1);
        json["height"] = frame->label_mask.size(0);
      }
      list.push_back(json);
    }
    answer(response, {{"streams", list}});
  }

  void follow_prompt(const Request& request, Response& response) {
    Stream& stream = stream_of(request);
    const LivePrompts::Followed followed = stream.prompts->follow(read_prompt(request), kPromptTimeout);
    answer(response, {{"id", followed.id}, {"frame", frame_json(followed.frame)}});
  }

  /// JSON as in prompt files; or a PNG, a mask of one object, with `id` and `name` in the address.
  static PromptEdit read_prompt(const Request& request) {
    const std::string type = request.get_header_value("Content-Type");
    PromptEdit edit;
    if (type.starts_with("image/png")) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(request.body.data());
      edit.prompt.mask = read_label_mask({bytes, request.body.size()}, "mask").ne(0);
      edit.prompt.name = request.get_param_value("name");
      if (const std::string action = request.get_param_value("action"); action == "correct") {
        edit.action = PromptEdit::Action::kCorrect;
      } else if (!action.empty() && action != "add") {
        throw Refusal{400, "action: expected add or correct, found '" + action + "'"};
      }
      const std::string id = request.get_param_value("id");
      const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), edit.prompt.id);
      const bool is_id = error == std::errc{} && end == id.data() + id.size() && edit.prompt.id >= 1 &&
                         edit.prompt.id <= 255;
      const bool may_lack = id.empty() && edit.action == PromptEdit::Action::kAdd;
      if (!is_id && !may_lack)
        throw Refusal{400, "id: expected a whole number from 1 to 255, found '" + id + "'"};
      return edit;
    }
    if (!type.starts_with("application/json")) {
      throw Refusal{415, "Content-Type: expected application/json or image/png, found '" + type + "'"};
    }
    PromptEntry entry = parse_prompt(request.body, "request");
    edit.action = entry.action.value_or(PromptEdit::Action::kAdd);
    edit.prompt.id = entry.id.value_or(0);
    edit.prompt.name = std::move(entry.name);
    edit.prompt.box = entry.box;
    edit.prompt.points = std::move(entry.points);
    return edit;
  }

  void show_preview(const Request& request, Response& response) {
    const Stream& stream = stream_of(request);
    auto viewer = std::make_shared<Viewer>(num_viewers_);
    if (viewer->count > kMostViewers)
      throw Refusal{503, "expected at most " + std::to_string(kMostViewers) + " viewers"};
    response.set_header("Cache-Control", "no-store");
    response.set_content_provider(
        std::string("multipart/x-mixed-replace; boundary=") + kBoundary,
        [this, &stream, viewer, last = std::shared_ptr<const TrackedFrame>()](
            size_t, httplib::DataSink& sink) mutable {
          auto frame = stream.next(last, milliseconds(200));
          while (!frame && !is_ending_ && sink.is_writable()) frame = stream.next(last, milliseconds(200));
          if (is_ending_ || !frame) return false;
          last = std::move(frame);
          const std::vector<uint8_t> bytes = picture(stream, *last, false, kPreviewEdge);
          const std::string head =
              std::string("--") + kBoundary +
              "\r\nContent-Type: image/jpeg\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n";
          return sink.write(head.data(), head.size()) &&
                 sink.write(reinterpret_cast<const char*>(bytes.data()), bytes.size()) &&
                 sink.write("\r\n", 2);
        });
  }

  struct Viewer {
    explicit Viewer(std::atomic<int>& all) : all(all), count(++all) {}
    ~Viewer() { --all; }
    Viewer(const Viewer&) = delete;
    Viewer& operator=(const Viewer&) = delete;
    std::atomic<int>& all;
    const int count;
  };

  ControlConfig config_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::string url_;
  std::atomic<int> num_viewers_ = 0;
  std::atomic<bool> is_ending_ = false;
  httplib::Server server_;
  std::jthread listener_;
};

ControlServer::ControlServer(const ControlConfig& config,
                             std::vector<std::shared_ptr<ControlledStream>> streams)
    : impl_(std::make_unique<Impl>(config, std::move(streams))) {}
ControlServer::~ControlServer() = default;
const std::string& ControlServer::url() const { return impl_->url(); }

}  // namespace hqtrack
