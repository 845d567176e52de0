#include "cli/interruption.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <system_error>

namespace hqtrack {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
std::atomic<int> event = -1;  // written by the handler, which may do little else
std::atomic<bool> is_over = false;

void write_event() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
}

void on_signal(int) {
  const int saved_errno = errno;
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
  write_event();
  errno = saved_errno;
}

}  // namespace

Interruption::Interruption() {
  is_over = false;
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
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
  is_over = true;
  write_event();
  waiter_.join();
  ::close(event.exchange(-1));
}

}  // namespace hqtrack
