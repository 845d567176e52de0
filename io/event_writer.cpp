#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"
#include "io/event_line.h"
#include "io/event_socket.h"
#include "io/output_file.h"
#include "io/outputs.h"

namespace hqtrack {
namespace {

int close_unless_stdout(std::FILE* stream) { return stream == stdout ? 0 : std::fclose(stream); }

class EventWriter : public FrameSink {
 public:
  EventWriter(const std::string& file, EventFile kind)
      : name_(file == "-" ? "standard output" : file), stream_(nullptr, close_unless_stdout) {
    if (file != "-" && !is_special_file(file) && kind == EventFile::kReplace)
      output_.emplace(file, OutputFile::WhenDropped::kKeep);
    const std::string path = output_ ? output_->temporary_path().string() : file;
    stream_.reset(file == "-" ? stdout : std::fopen(path.c_str(), kind == EventFile::kAppend ? "ab" : "wb"));
    if (!stream_) throw OutputError(name_ + ": cannot be created: " + std::strerror(errno));
  }

  void write(const TrackedFrame& frame) override { write_line(event_line(frame)); }

  void write_event(const StreamEvent& event) override { write_line(event_line(event)); }
  bool takes_events() const override { return true; }

  void finish() override {
    if (close_unless_stdout(stream_.release()) != 0) fail();
    if (output_) output_->commit();
  }

 private:
  void write_line(const std::string& line) {
    const bool is_written = std::fwrite(line.data(), 1, line.size(), stream_.get()) == line.size();
    if (!is_written || std::fflush(stream_.get()) != 0) fail();
  }

  [[noreturn]] void fail() const {
    throw OutputError(name_ + ": cannot be written: " + std::strerror(errno));
  }

  std::string name_;
  std::optional<OutputFile> output_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_;
};

}  // namespace

std::unique_ptr<FrameSink> open_event_sink(const std::string& target, std::shared_ptr<StreamEvents> events,
                                           EventFile kind) {
  if (is_event_socket(target)) return std::make_unique<EventSocket>(target, std::move(events));
  return std::make_unique<EventWriter>(target, kind);
}

}  // namespace hqtrack
