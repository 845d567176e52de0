#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <opencv2/core/utility.hpp>
#include <thread>
#include <utility>
#include <vector>

namespace hqtrack {

/// Makes batches of examples ahead of their use, in threads of its own. Batch n holds the examples n *
/// batch_size and on, whatever the number of threads.
template <class Example>
class BatchLoader {
 public:
  /// Gives the example of a number; called by several threads at once.
  using Make = std::function<Example(int64_t number)>;

  /// Batches are handed out from number `first_batch` on, every one or every `stride`-th.
  BatchLoader(Make make, int64_t batch_size, int64_t first_batch, int64_t num_threads, int64_t stride = 1)
      : make_(std::move(make)),
        batch_size_(batch_size),
        stride_(stride),
        most_ahead_((num_threads + 2) * stride),
        next_to_make_(first_batch),
        next_to_hand_out_(first_batch) {
    cv::setNumThreads(1);  // the threads are our own
    for (int64_t i = 0; i < num_threads; ++i)
      threads_.emplace_back([this](std::stop_token stop) { produce(stop); });
  }
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  /// The next batch; waits for it. Throws what making it threw.
  std::vector<Example> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || ready_.contains(next_to_hand_out_); });
    if (failure_) std::rethrow_exception(failure_);
    auto batch = ready_.extract(std::exchange(next_to_hand_out_, next_to_hand_out_ + stride_));
    changed_.notify_all();
    return std::move(batch.mapped());
  }

 private:
  void produce(std::stop_token stop) {
    while (true) {
      int64_t number = 0;
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [&] { return next_to_make_ < next_to_hand_out_ + most_ahead_; }))
          return;
        number = std::exchange(next_to_make_, next_to_make_ + stride_);
      }
      std::vector<Example> batch;
      try {
        for (int64_t i = 0; i < batch_size_ && !stop.stop_requested(); ++i) {
          batch.push_back(make_(number * batch_size_ + i));
        }
      } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
        return;
      }
      const std::lock_guard lock(mutex_);
      ready_.emplace(number, std::move(batch));
      changed_.notify_all();
    }
  }

  const Make make_;
  const int64_t batch_size_, stride_, most_ahead_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int64_t next_to_make_, next_to_hand_out_;
  std::map<int64_t, std::vector<Example>> ready_;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;  // last: they stop before the rest goes
};

}  // namespace hqtrack
