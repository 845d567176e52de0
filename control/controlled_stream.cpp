#include "control/controlled_stream.h"

#include <utility>

namespace hqtrack {
namespace {

class ControlSink : public FrameSink {
 public:
  explicit ControlSink(std::shared_ptr<ControlledStream> stream) : stream_(std::move(stream)) {}
  void write(const TrackedFrame& frame) override { stream_->set_latest(frame); }
  void finish() override {}

 private:
  std::shared_ptr<ControlledStream> stream_;
};

}  // namespace

std::shared_ptr<const TrackedFrame> ControlledStream::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

std::shared_ptr<const TrackedFrame> ControlledStream::next(const std::shared_ptr<const TrackedFrame>& last,
                                                           std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const bool is_newer = has_newer_.wait_for(lock, timeout, [&] { return latest_ && latest_ != last; });
  return is_newer ? latest_ : nullptr;
}

std::optional<ControlledStream::Clock::duration> ControlledStream::age() const {
  const std::lock_guard lock(mutex_);
  if (!latest_) return std::nullopt;
  return Clock::now() - came_;
}

bool ControlledStream::is_healthy() const {
  const auto since = age();
  return monitor->is_receiving && since && *since < std::chrono::seconds(10);
}

void ControlledStream::set_latest(const TrackedFrame& frame) {
  auto copy = std::make_shared<const TrackedFrame>(frame);
  const std::lock_guard lock(mutex_);
  latest_ = std::move(copy);
  came_ = Clock::now();
  has_newer_.notify_all();
}

std::unique_ptr<FrameSink> open_control_sink(std::shared_ptr<ControlledStream> stream) {
  return std::make_unique<ControlSink>(std::move(stream));
}

}  // namespace hqtrack
