#pragma once

#include <sys/resource.h>

#include <csignal>

namespace hqtrack::testing {

/// While it lives, no file of this process grows beyond so many bytes, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    set({bytes, before_.rlim_max});
  }
  ~FileSizeLimit() { set(before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  static void set(const rlimit& limit) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  rlimit before_{};
};

}  // namespace hqtrack::testing
