#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
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
#include "io/retry.h"

namespace hqtrack {
namespace {

class EventWriter : public FrameSink {
 public:
  EventWriter(const std::string& file, std::shared_ptr<StreamEvents> events, ExistingOutput existing)
      : name_(file == "-" ? "standard output" : file) {
    const bool is_stdout = file == "-";
    const bool appends = existing == ExistingOutput::kAppend;
    if (!is_stdout && appends) make_folder_of(file);
    if (!is_stdout && !appends && !is_special_file(file))
      output_.emplace(file, OutputFile::WhenDropped::kKeep);
    // Who closes the other end of standard output wants an end.
    if (events && !is_stdout) retry_.emplace(name_, std::move(events));
    const std::string path = output_ ? output_->temporary_path().string() : file;
    const int mode = O_WRONLY | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : O_TRUNC);
    file_ = is_stdout ? STDOUT_FILENO : ::open(path.c_str(), mode, 0666);
    if (file_ < 0) throw OutputError(name_ + ": cannot be created: " + std::strerror(errno));
  }
  ~EventWriter() override { close(); }

  void write(const TrackedFrame& frame) override { write_line(event_line(frame), frame.frame.pts_us); }

  void write_event(const StreamEvent& event) override { write_line(event_line(event), event.pts_us); }
  bool takes_events() const override { return true; }

  void finish() override {
    if (close() != 0) fail(errno);
    if (output_) output_->commit();
  }

 private:
  void write_line(const std::string& line, int64_t pts_us) {
    if (!retry_) return append(line);
    retry_->attempt(
        pts_us,
        [&] {
          append(line);
          return true;
        },
        [] {});
  }

  /// The whole line or nothing, where the file is one that can be cut off.
  void append(const std::string& line) {
    for (size_t done = 0; done < line.size();) {
      const ssize_t count = ::write(file_, line.data() + done, line.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        const int error = errno;
        take_back(static_cast<off_t>(done));
        fail(error);
      }
      done += static_cast<size_t>(count);
    }
  }

  void take_back(off_t count) {
    const off_t end = ::lseek(file_, 0, SEEK_CUR);
    if (count > 0 && end >= count && ::ftruncate(file_, end - count) == 0)
      ::lseek(file_, end - count, SEEK_SET);
  }

  int close() {
    const int file = std::exchange(file_, -1);
    return file < 0 || file == STDOUT_FILENO ? 0 : ::close(file);
  }

  [[noreturn]] void fail(int error) const {
    throw OutputError(name_ + ": cannot be written: " + std::strerror(error));
  }

  std::string name_;
  std::optional<OutputFile> output_;
  std::optional<Retry> retry_;
  int file_ = -1;
};

}  // namespace

std::unique_ptr<FrameSink> open_event_sink(const std::string& target, std::shared_ptr<StreamEvents> events,
                                           ExistingOutput existing) {
  if (is_event_socket(target)) return std::make_unique<EventSocket>(target, std::move(events));
  return std::make_unique<EventWriter>(target, std::move(events), existing);
}

}  // namespace hqtrack
