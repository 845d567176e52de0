#include "io/segmented_writer.h"

#include <array>
#include <chrono>
#include <ctime>
#include <utility>

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;

std::string segment_names(const fs::path& file) {
  if (file.filename().string().find('%') != std::string::npos) return file.string();
  return (file.parent_path() / (file.stem().string() + "-*" + file.extension().string())).string();
}

fs::path segment_file(const fs::path& pattern, int64_t unix_seconds) {
  std::string format = pattern.filename().string();
  if (format.find('%') == std::string::npos) {
    format = pattern.stem().string() + "-%Y%m%dT%H%M%S" + pattern.extension().string();
  }
  const std::time_t time = unix_seconds;
  std::tm local{};
  ::localtime_r(&time, &local);
  std::array<char, 512> name{};
  if (std::strftime(name.data(), name.size(), format.c_str(), &local) == 0) {
    throw OutputError(pattern.string() + ": expected a shorter name");
  }
  const fs::path file = pattern.parent_path() / name.data();
  fs::path free = file;
  std::error_code ignored;
  for (int number = 2; fs::exists(free, ignored); ++number) {
    free = file.parent_path() /
           (file.stem().string() + "-" + std::to_string(number) + file.extension().string());
  }
  return free;
}

SegmentedWriter::SegmentedWriter(const fs::path& file, int64_t segment_us, const VideoInfo& source,
                                 const OverlayConfig& overlay, const EncodeConfig& encode,
                                 std::shared_ptr<StreamEvents> events)
    : pattern_(file),
      segment_us_(segment_us),
      source_(source),
      overlay_(overlay),
      encode_(encode),
      events_(std::move(events)) {
  if (events_) retry_.emplace(file.string(), events_);
  const OutputFile trial(file);  // where nothing can be written, it is said at once
}

void SegmentedWriter::open(int64_t start_us) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  file_ = segment_file(pattern_, std::chrono::duration_cast<std::chrono::seconds>(now).count());
  source_.start_us = start_us;
  start_us_ = start_us;
  writer_ = std::make_unique<VideoWriter>(file_, source_, overlay_, encode_);
}

void SegmentedWriter::close(int64_t end_us) {
  const std::unique_ptr<VideoWriter> writer = std::move(writer_);
  writer->finish();
  if (!events_) return;
  events_->publish({.kind = StreamEvent::Kind::kSegmentComplete,
                    .pts_us = end_us,
                    .reason = {},
                    .output = file_.string(),
                    .seconds = static_cast<double>(end_us - start_us_) / 1e6});
}

void SegmentedWriter::write(const TrackedFrame& frame) {
  attempt(
      retry_, frame.frame.pts_us, [&] { return write_now(frame); }, [&] { writer_.reset(); });
}

/// Whether something of this segment, or all of the one before, is in its file.
bool SegmentedWriter::write_now(const TrackedFrame& frame) {
  const int64_t now_us = frame.frame.pts_us;
  const bool is_complete = writer_ && now_us >= start_us_ + segment_us_;
  if (is_complete) close(now_us);
  if (!writer_) open(now_us);
  writer_->write(frame);
  last_us_ = now_us;
  return is_complete || writer_->has_written();
}

void SegmentedWriter::finish() {
  if (writer_) close(last_us_);
}

std::unique_ptr<FrameSink> open_segmented_sink(const fs::path& file, int64_t segment_us,
                                               const VideoInfo& source, const OverlayConfig& overlay,
                                               const EncodeConfig& encode,
                                               std::shared_ptr<StreamEvents> events) {
  return std::make_unique<SegmentedWriter>(file, segment_us, source, overlay, encode, std::move(events));
}

}  // namespace hqtrack
