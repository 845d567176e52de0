#include "eval/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace hqtrack {

void for_each_item(size_t num_items, size_t num_workers, const std::function<void(size_t, size_t)>& work,
                   const std::function<void(size_t)>& finish) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::vector<bool> is_done(num_items, false);
  size_t num_finished = 0;
  std::exception_ptr error;
  const auto run = [&](size_t worker) {
    for (size_t item = next++; item < num_items; item = next++) {
      try {
        work(item, worker);
        const std::lock_guard lock(mutex);
        is_done[item] = true;
        while (num_finished < num_items && is_done[num_finished]) {
          const size_t done = num_finished++;
          if (finish) finish(done);
        }
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = num_items;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t worker = 1; worker < std::min(num_workers, num_items); ++worker)
      threads.emplace_back(run, worker);
    run(0);
  }
  if (!error) return;
  for (size_t item = num_finished; finish && item < num_items; ++item) {
    if (is_done[item]) finish(item);
  }
  std::rethrow_exception(error);
}

}  // namespace hqtrack
