#include "tests/control/running_stream.h"

#include <ATen/ops/full.h>

#include <array>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "core/config.h"
#include "pipeline/hqtrack.h"
#include "pipeline/track_stage.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

using namespace std::chrono_literals;

class Camera : public FrameSource {
 public:
  Camera(const std::atomic<bool>& is_frozen, const std::atomic<bool>& is_over, at::Tensor picture)
      : is_frozen_(is_frozen), is_over_(is_over), picture_(std::move(picture)) {}
  const VideoInfo& info() const override { return info_; }
  std::optional<Frame> read() override {
    do {
      if (is_over_) return std::nullopt;
      std::this_thread::sleep_for(10ms);
    } while (is_frozen_);
    const int64_t index = num_read_++;
    return Frame{.index = index,
                 .pts_us = 40000 * index,
                 .image = picture_.defined() ? picture_.clone() : at::full(kSize, index % 200, at::kByte),
                 .received = std::chrono::steady_clock::now()};
  }

 private:
  static constexpr std::array kSize = {RunningStream::kHeight, RunningStream::kWidth, int64_t{3}};
  const std::atomic<bool>&is_frozen_, &is_over_;
  at::Tensor picture_;  // undefined: grey ones
  int64_t num_read_ = 0;
  VideoInfo info_;
};

}  // namespace

RunningStream::RunningStream(const ControlConfig& control) : RunningStream(control, {}, {}) {}

RunningStream::RunningStream(const ControlConfig& control, std::filesystem::path config, at::Tensor picture)
    : config_(std::move(config)),
      picture_(std::move(picture)),
      stream_(std::make_shared<ControlledStream>("main", OverlayConfig())),
      server_(std::make_unique<ControlServer>(control, std::vector{stream_})) {
  begin();
}

void RunningStream::run() {
  const TemporaryFolder folder;
  HqTrack tracker(load_config(config_.empty() ? write_tiny_model(folder.path()) : config_), "cpu");
  TrackStage stage(tracker, {}, stream_->prompts);
  Camera camera(is_frozen_, is_over_, picture_);
  std::array<std::unique_ptr<FrameSink>, 1> sinks = {open_control_sink(stream_)};
  run_pipeline(camera, [&](Frame frame) { return stage(std::move(frame)); }, sinks,
               {.live = LiveRun{.events = events_, .monitor = stream_->monitor}});
}

RunningStream::~RunningStream() {
  server_.reset();
  end();
}

void RunningStream::end() {
  is_over_ = true;
  if (run_.joinable()) run_.join();
}

void RunningStream::begin() {
  is_over_ = false;
  run_ = std::jthread([this] { run(); });
}

int RunningStream::port() const { return std::stoi(url().substr(url().rfind(':') + 1)); }

}  // namespace hqtrack::testing
