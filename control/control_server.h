#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/controlled_stream.h"

namespace hqtrack {

/// Where the control interface listens, and who may use it.
struct ControlConfig {
  std::string host = "127.0.0.1";
  int port = 0;            // 0: one that is free
  std::string token = {};  // empty: anybody who reaches it, which is this machine alone
};

/// "8080", "HOST:8080", "[::1]:8080". Throws UsageError naming the option.
ControlConfig parse_control_address(const std::string& option, const std::string& text);

/// Throws UsageError naming the option for an address that others reach, without a token.
void check_control(const std::string& option, const ControlConfig& config);

/// The first line of a file, without blanks at its ends. Throws UsageError where that has fewer than 16
/// characters.
std::string read_control_token(const std::string& option, const std::string& file);

/// HTTP in the words of docs/control.md: objects, prompts, pictures, metrics, and a page for people. Answers
/// with threads of its own; no request makes a stream wait, but for the prompts that it brings.
///
/// Without a token only this machine is let in, and no page of another site in a browser on it. With one
/// every request must carry it, but for /healthz and the page itself.
class ControlServer {
 public:
  /// Listens. Throws UsageError for an address beyond this machine without a token, and OutputError where it
  /// cannot listen.
  ControlServer(const ControlConfig& config, std::vector<std::shared_ptr<ControlledStream>> streams);
  /// Ends all connections; no stream takes prompts any more.
  ~ControlServer();

  /// "http://127.0.0.1:8080".
  const std::string& url() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
