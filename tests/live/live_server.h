#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace hqtrack::testing {

/// A port of the loopback that nobody listens on now.
int free_port();

/// Whether the tests were built with the RTSP server (GStreamer).
bool has_rtsp_server();

/// What it asks for; nothing of an empty user.
struct RtspLogin {
  std::string user = {}, password = {};
  std::string certificate = {};  // PEM with its key: over TLS
};

/// rtsp_server as a child process. Fails the running test, and throws, when it does not come up.
class RtspServer {
 public:
  RtspServer(int port, const std::filesystem::path& clip, const RtspLogin& login = {});
  /// Kills it.
  ~RtspServer();
  RtspServer(const RtspServer&) = delete;
  RtspServer& operator=(const RtspServer&) = delete;

  void send(int signal) const;

 private:
  pid_t pid_ = -1;
};

/// rtsp://[LOGIN@]127.0.0.1:PORT/clip
std::string rtsp_url(int port, const std::string& login = {});

}  // namespace hqtrack::testing
