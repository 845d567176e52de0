#pragma once

#include <memory>
#include <string>

#include "io/frame_sink.h"
#include "io/retry.h"

namespace hqtrack {

/// Whether events go to a socket: tcp://HOST:PORT or unix:PATH.
bool is_event_socket(const std::string& target);

/// Events as lines to whoever listens at a TCP or Unix socket; see `open_event_sink`. Lines are whole: after
/// a connection is lost, the next one begins with a new line, and those in between are left out.
class EventSocket : public FrameSink {
 public:
  /// Connects. Throws OutputError.
  EventSocket(const std::string& target, std::shared_ptr<StreamEvents> events);
  ~EventSocket() override;

  void write(const TrackedFrame& frame) override;
  void write_event(const StreamEvent& event) override;
  bool takes_events() const override { return true; }
  void finish() override;

 private:
  void send_line(const std::string& line, int64_t pts_us);
  void connect();
  void send_all(const std::string& line);
  void close();
  [[noreturn]] void fail(const std::string& reason) const;

  std::string target_;
  Retry retry_;
  int socket_ = -1;
};

}  // namespace hqtrack
