#pragma once

#include <stop_token>
#include <thread>

namespace hqtrack {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks for a stop instead of ending the program; one
/// that comes two seconds later or more ends it at once. Those in between are the first one repeated, as
/// timeout and systemd send it to a program and to its group. One at a time.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  std::jthread waiter_;
};

}  // namespace hqtrack
