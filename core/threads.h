#pragma once

#include <cstdint>
#include <functional>

namespace hqtrack {

/// CPU threads that work for the calling thread: of LibTorch's operators, which all wait for the slowest, and
/// of `share_out`, the calling one included in both.
void set_threads(int operators, int shared);
/// Of `share_out`, as set for the calling thread.
int shared_threads();

/// Runs work(0) .. work(count - 1) on the calling thread and on helpers, as many as `set_threads` said
/// (default: as LibTorch's operators). Each takes the next piece when it is ready, so helpers may be slow, or
/// busy elsewhere. Returns when all pieces are done. What `work` throws is thrown
/// on, when all pieces have ended.
void share_out(int64_t count, const std::function<void(int64_t)>& work);

/// Lets the other threads go first where all want the same cores: for work that waits for the tracker, or
/// that it will wait for only later. Threads which the calling one starts from now on do so as well. Before
/// `set_threads`.
void give_way();

/// While it lives, a calling thread that has two threads runs LibTorch's operators on one of them;
/// `share_out` keeps both. OpenMP's threads wait for each other at the end of every small operator, which
/// costs more than it gains, and in a loop that leaves no core to helpers: where another process has a core,
/// frames of a small network take 20 times as long.
class SerialOperators {
 public:
  SerialOperators();
  ~SerialOperators();
  SerialOperators(const SerialOperators&) = delete;
  SerialOperators& operator=(const SerialOperators&) = delete;

 private:
  int operators_, shared_;
};

/// Runs work(0) .. work(count - 1), computations of LibTorch that do not need each other. With few threads,
/// in inference mode, they run beside each other: then branches of a network are better work for two threads
/// than the halves of each small operator. Otherwise one after the other. Throws what the first one threw.
void run_each(int64_t count, const std::function<void(int64_t)>& work);
/// The same of two.
void run_both(const std::function<void()>& first, const std::function<void()>& second);

}  // namespace hqtrack
