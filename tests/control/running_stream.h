#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "control/control_server.h"
#include "control/controlled_stream.h"
#include "io/stream_event.h"
#include "pipeline/runner.h"

namespace hqtrack::testing {

/// A camera that is tracked and has a control interface, all in this process.
class RunningStream {
 public:
  static constexpr int64_t kHeight = 50, kWidth = 82;

  /// Grey pictures of that size, and a tiny network.
  explicit RunningStream(const ControlConfig& control = {});
  /// One picture again and again, and the networks of a configuration.
  RunningStream(const ControlConfig& control, std::filesystem::path config, at::Tensor picture);
  ~RunningStream();

  const std::string& url() const { return server_->url(); }
  int port() const;
  ControlledStream& stream() { return *stream_; }
  /// The camera sends nothing more until it is told to go on.
  void freeze(bool is_frozen) { is_frozen_ = is_frozen; }
  void publish(const StreamEvent& event) { events_->publish(event); }
  /// The run ends; the server stays.
  void end();
  /// Another run, where one has ended.
  void begin();

 private:
  void run();

  const std::filesystem::path config_;  // empty: a tiny network
  const at::Tensor picture_;            // undefined: grey ones
  std::shared_ptr<ControlledStream> stream_;
  std::shared_ptr<StreamEvents> events_ = std::make_shared<StreamEvents>();
  std::atomic<bool> is_frozen_ = false, is_over_ = false;
  std::unique_ptr<ControlServer> server_;
  std::jthread run_;
};

}  // namespace hqtrack::testing
