#include "core/threads.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <omp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/profile.h"

namespace hqtrack {
namespace {

constexpr int kFewThreads = 2;
thread_local int num_shared = 0;  // 0: as LibTorch's operators

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A thread that has just worked soon has work again, and to wake one takes as long as a small piece of work:
// it looks for work that long before it sleeps, and now and then lets others have its core.
constexpr std::chrono::microseconds kPatience{100};
constexpr int kLooks = 100;

// Whether `is_ready` came true while patience lasted.
template <class IsReady>
bool wait_patiently(IsReady is_ready) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (is_ready()) return true;
      pause_cpu();
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

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

  void wait() {
    if (wait_patiently([this] { return num_done == count; })) return;
    for (int64_t done = num_done; done < count; done = num_done) num_done.wait(done);
  }
};

// The threads that help all callers of share_out.
class Helpers {
 public:
  static Helpers& all() {
    static auto* const helpers = new Helpers;  // they run until the program has ended
    return *helpers;
  }

  // At least so many, with the niceness of the calling thread.
  void start(int64_t count) {
    const std::lock_guard lock(mutex_);
    for (; num_threads_ < count; ++num_threads_) std::thread([this] { help(); }).detach();
  }

  void ask(const std::shared_ptr<Pieces>& pieces, int64_t num_helpers) {
    start(num_helpers);
    bool is_any_asleep = false;
    {
      const std::lock_guard lock(mutex_);
      asked_.insert(asked_.end(), static_cast<size_t>(num_helpers), pieces);
      num_asked_ = asked_.size();
      is_any_asleep = num_asleep_ > 0;
    }
    if (!is_any_asleep) return;
    num_helpers == 1 ? has_asked_.notify_one() : has_asked_.notify_all();
  }

  // What no helper has come for.
  void withdraw(const std::shared_ptr<Pieces>& pieces) {
    const std::lock_guard lock(mutex_);
    std::erase(asked_, pieces);
    num_asked_ = asked_.size();
  }

 private:
  [[noreturn]] void help() {
    while (true) {
      const bool may_be_asked = wait_patiently([this] { return num_asked_ > 0; });
      std::unique_lock lock(mutex_);
      if (asked_.empty() && may_be_asked) continue;  // another one was faster
      ++num_asleep_;
      has_asked_.wait(lock, [this] { return !asked_.empty(); });
      --num_asleep_;
      const std::shared_ptr<Pieces> pieces = std::move(asked_.front());
      asked_.pop_front();
      num_asked_ = asked_.size();
      lock.unlock();
      pieces->take();
    }
  }

  std::mutex mutex_;
  std::condition_variable has_asked_;
  std::deque<std::shared_ptr<Pieces>> asked_;  // once for each helper that is wanted
  std::atomic<size_t> num_asked_ = 0;
  int64_t num_threads_ = 0, num_asleep_ = 0;
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
  const int64_t num_helpers = std::min(threads, count) - 1;
  if (num_helpers < 1) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  const auto pieces = std::make_shared<Pieces>(&work, count);
  Helpers::all().ask(pieces, num_helpers);
  pieces->take();
  Helpers::all().withdraw(pieces);
  pieces->wait();
  if (pieces->has_failed) std::rethrow_exception(pieces->error);
}

void give_way() {
  constexpr int kNice = 10;
  Helpers::all().start(shared_threads() - 1);       // they work for everyone: they must not inherit it
  const auto thread = static_cast<id_t>(gettid());  // nice values are of threads on Linux
  setpriority(PRIO_PROCESS, thread, std::max(kNice, getpriority(PRIO_PROCESS, thread)));
}

SerialOperators::SerialOperators() : operators_(at::get_num_threads()), shared_(num_shared) {
  if (operators_ <= kFewThreads) set_threads(1, shared_threads());
}

SerialOperators::~SerialOperators() { set_threads(operators_, shared_); }

void run_each(int64_t count, const std::function<void(int64_t)>& work) {
  const int threads = shared_threads();
  if (threads < 2 || at::get_num_threads() > kFewThreads || !c10::InferenceMode::is_enabled()) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  const auto caller = std::this_thread::get_id();
  const int operators = at::get_num_threads(), shared = num_shared, stage = current_stage();
  std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
  share_out(count, [&](int64_t i) {
    const c10::InferenceMode guard;
    const bool is_caller = std::this_thread::get_id() == caller;
    set_threads(1, is_caller ? threads : 1);  // whoever runs it: operators' sums depend on their threads
    if (!is_caller) set_current_stage(stage);
    try {
      work(i);
    } catch (...) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  });
  set_threads(operators, shared);
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

void run_both(const std::function<void()>& first, const std::function<void()>& second) {
  run_each(2, [&](int64_t i) { (i == 0 ? first : second)(); });
}

}  // namespace hqtrack
