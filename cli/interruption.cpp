#include "cli/interruption.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <system_error>

namespace hqtrack {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
std::atomic<int> event = -1;  // written by the handler, which may do little else
std::atomic<bool> is_over = false;
std::atomic<int64_t> first_ms = 0;  // when a stop was asked for; 0 before that

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000} + now.tv_nsec / 1'000'000;
}

void write_event() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
}

void on_signal(int signal) {
  constexpr int64_t kRepeated_ms = 2000;
  const int saved_errno = errno;
  const int64_t now = now_ms();
  int64_t none = 0;
  if (first_ms.compare_exchange_strong(none, now)) {
    write_event();
  } else if (now >= first_ms + kRepeated_ms) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // delivered when this returns
  }
  errno = saved_errno;
}

}  // namespace

Interruption::Interruption() {
  is_over = false;
  first_ms = 0;
  event = ::eventfd(0, EFD_CLOEXEC);
  if (event < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  waiter_ = std::jthread([this] {
    uint64_t count = 0;
    while (::read(event, &count, sizeof count) < 0 && errno == EINTR) {
    }
    if (!is_over) stop_.request_stop();
  });
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
}

Interruption::~Interruption() {
  if (first_ms == 0) {  // else what repeats the signal may still come
    for (const int signal : kSignals) std::signal(signal, SIG_DFL);
  }
  is_over = true;
  write_event();
  waiter_.join();
  ::close(event.exchange(-1));
}

}  // namespace hqtrack
