#include "train/clip_loader.h"

#include <opencv2/core/utility.hpp>

namespace hqtrack {

ClipLoader::ClipLoader(const ClipSource& source, int64_t batch_size, int64_t first_batch, int64_t num_threads)
    : source_(source),
      batch_size_(batch_size),
      most_ahead_(num_threads + 2),
      next_to_make_(first_batch),
      next_to_hand_out_(first_batch) {
  cv::setNumThreads(1);  // the threads are our own
  for (int64_t i = 0; i < num_threads; ++i)
    threads_.emplace_back([this](std::stop_token stop) { produce(stop); });
}

ClipLoader::~ClipLoader() = default;

std::vector<Clip> ClipLoader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || ready_.contains(next_to_hand_out_); });
  if (failure_) std::rethrow_exception(failure_);
  auto batch = ready_.extract(next_to_hand_out_++);
  changed_.notify_all();
  return std::move(batch.mapped());
}

void ClipLoader::produce(std::stop_token stop) {
  while (true) {
    int64_t number = 0;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return next_to_make_ < next_to_hand_out_ + most_ahead_; })) return;
      number = next_to_make_++;
    }
    std::vector<Clip> batch;
    try {
      for (int64_t i = 0; i < batch_size_ && !stop.stop_requested(); ++i) {
        batch.push_back(source_.clip(number * batch_size_ + i));
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

}  // namespace hqtrack
