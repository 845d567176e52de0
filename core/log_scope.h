#pragma once

#include <string>

namespace hqtrack {

/// While it lives, messages of this thread begin with "NAME: ", for those who have several of something.
/// Threads that a thread starts hand its name on by `current`. An empty name: as without.
class LogScope {
 public:
  explicit LogScope(std::string name);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  /// Of this thread; empty without any.
  static std::string current();

 private:
  std::string before_;
};

}  // namespace hqtrack
