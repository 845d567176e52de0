#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace hqtrack {
namespace {

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// stderr as such: a log that is closed or a pipe that is gone is no reason to stop.
void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string format_duration(double seconds) {
  const auto total = static_cast<int64_t>(std::ceil(std::max(seconds, 0.0)));
  char text[32];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(total / 3600),
                  static_cast<int>(total / 60 % 60), static_cast<int>(total % 60));
  } else {
    std::snprintf(text, sizeof text, "%d:%02d", static_cast<int>(total / 60), static_cast<int>(total % 60));
  }
  return text;
}

std::string progress_line(int64_t done, std::optional<int64_t> total, double seconds, int width,
                          const std::string& unit) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  char speed[48];
  std::snprintf(speed, sizeof speed, "%.1f ", rate);
  const std::string rate_text = speed + unit + "/s";
  std::string line = std::to_string(done);
  if (!total || *total <= 0) return (line + " " + unit + "  " + rate_text).substr(0, std::max(width, 0));

  // A count from the container is an estimate and may be passed.
  const int64_t last = std::max(*total, done);
  const double share = static_cast<double>(done) / static_cast<double>(last);
  line = std::to_string(static_cast<int>(share * 100)) + "%  " + line + "/" + std::to_string(last) + "  " +
         rate_text;
  if (rate > 0) line += "  " + format_duration(static_cast<double>(last - done) / rate) + " left";
  const int room = std::min(width - static_cast<int>(line.size()) - 4, 40);
  if (room >= 8) {
    const auto filled = static_cast<size_t>(std::lround(share * room));
    std::string bar(filled, '#');
    bar.append(static_cast<size_t>(room) - filled, '.');
    line = "[" + bar + "]  " + line;
  }
  return line.substr(0, std::max(width, 0));
}

Progress::Progress(std::optional<int64_t> total, bool is_visible, std::string unit)
    : total_(total), is_visible_(is_visible), unit_(std::move(unit)) {}

Progress::~Progress() { wipe(); }

void Progress::wipe() {
  if (is_visible_) put("\r\033[K");
}

void Progress::advance() {
  ++done_;
  const Clock::time_point now = Clock::now();
  if (!is_visible_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string line = progress_line(done_, total_, seconds, terminal_width() - 1, unit_);
  put("\r" + line + "\033[K");
}

bool is_stderr_terminal() { return ::isatty(STDERR_FILENO) == 1; }

}  // namespace hqtrack
