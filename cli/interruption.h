#pragma once

#include <stop_token>
#include <thread>

namespace hqtrack {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks for a stop instead of ending the program; a
/// second one ends it at once. One at a time.
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
