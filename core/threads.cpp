#include "core/threads.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <omp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <thread>

#include "core/profile.h"

namespace hqtrack {
namespace {

thread_local int num_shared = 0;  // 0: as LibTorch's operators

// Outlives the call: a helper may look for work when none is left.
struct Pieces {
  const std::function<void(int64_t)>* work;  // valid while a piece is open
  int64_t count;
  std::atomic<int64_t> next = 0, num_done = 0;
  std::atomic<bool> has_failed = false;
  std::exception_ptr error;  // the first one; read when all is done

  void take() {
    for (int64_t i = next++; i < count; i = next++) {
      try {
        (*work)(i);
      } catch (...) {
        if (!has_failed.exchange(true)) error = std::current_exception();
      }
      if (++num_done == count) num_done.notify_one();
    }
  }
};

}  // namespace

void set_threads(int operators, int shared) {
  at::get_num_threads();  // LibTorch sets up a thread at its first question, and would undo the next line
  omp_set_num_threads(operators);
  num_shared = shared;
}

int shared_threads() { return num_shared > 0 ? num_shared : at::get_num_threads(); }

void share_out(int64_t count, const std::function<void(int64_t)>& work) {
  const int64_t threads = shared_threads();
  const auto pieces = std::make_shared<Pieces>(&work, count);
  for (int64_t i = 1; i < std::min(threads, count); ++i) {
    at::launch([pieces] { pieces->take(); });
  }
  pieces->take();
  for (int64_t done = pieces->num_done; done < count; done = pieces->num_done) pieces->num_done.wait(done);
  if (pieces->has_failed) std::rethrow_exception(pieces->error);
}

void give_way() {
  constexpr int kNice = 10;
  at::launch([] {});  // the helpers of share_out work for everyone: they must not inherit it
  const auto thread = static_cast<id_t>(gettid());  // nice values are of threads on Linux
  setpriority(PRIO_PROCESS, thread, std::max(kNice, getpriority(PRIO_PROCESS, thread)));
}

void run_both(const std::function<void()>& first, const std::function<void()>& second) {
  constexpr int kFewThreads = 2;
  const int threads = shared_threads();
  if (threads < 2 || at::get_num_threads() > kFewThreads || !c10::InferenceMode::is_enabled()) {
    first();
    second();
    return;
  }
  std::array<std::exception_ptr, 2> errors;
  const auto caller = std::this_thread::get_id();
  const int operators = at::get_num_threads(), shared = num_shared;
  const int stage = current_stage();
  share_out(2, [&](int64_t i) {
    c10::InferenceMode guard;
    const bool is_caller = std::this_thread::get_id() == caller;
    set_threads(1, is_caller ? threads : 1);  // whoever runs it: operators' sums depend on their threads
    if (!is_caller) set_current_stage(stage);
    try {
      (i == 0 ? first : second)();
    } catch (...) {
      errors[i] = std::current_exception();
    }
  });
  set_threads(operators, shared);
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace hqtrack
