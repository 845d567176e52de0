#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>

namespace hqtrack {

/// What push() does when the queue is full.
enum class FullQueuePolicy {
  kBlock,      // wait: files, where nothing may be lost
  kDropOldest  // make room and count: live sources, where waiting means falling behind
};

/// Hands items from one stage's thread to the next. close() says that no more will come and lets the rest be
/// taken; a stop request means drop everything and leave. All functions may be called from any thread.
template <class T>
class BoundedQueue {
 public:
  /// Throws std::invalid_argument for a capacity of 0.
  explicit BoundedQueue(size_t capacity, FullQueuePolicy policy = FullQueuePolicy::kBlock)
      : capacity_(capacity), policy_(policy) {
    if (capacity == 0)
      throw std::invalid_argument("BoundedQueue: expected a capacity of at least 1, found 0");
  }

  /// False, and the item is gone, when the queue is closed or a stop was requested.
  bool push(T item, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (policy_ == FullQueuePolicy::kBlock) {
      has_room_.wait(lock, stop, [&] { return is_closed_ || items_.size() < capacity_; });
    }
    if (is_closed_ || stop.stop_requested()) return false;
    if (items_.size() >= capacity_) {
      items_.pop_front();
      ++dropped_;
    }
    items_.push_back(std::move(item));
    has_items_.notify_one();
    return true;
  }

  /// Waits until an item can be pushed without waiting. False when the queue is closed or a stop was
  /// requested.
  bool wait_for_room(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, stop, [&] { return is_closed_ || items_.size() < capacity_; });
    return !is_closed_ && !stop.stop_requested();
  }

  /// Waits until all items have been taken. False as above.
  bool wait_until_empty(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, stop, [&] { return is_closed_ || items_.empty(); });
    return !is_closed_ && !stop.stop_requested();
  }

  /// The oldest item; empty when the queue is closed and drained, or a stop was requested.
  std::optional<T> pop(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    has_items_.wait(lock, stop, [&] { return is_closed_ || !items_.empty(); });
    if (stop.stop_requested() || items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    has_room_.notify_one();
    return item;
  }

  /// No more items will come; those inside can still be taken. May be called again.
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    has_room_.notify_all();
    has_items_.notify_all();
  }

  /// Items pushed out by newer ones so far.
  int64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  const size_t capacity_;
  const FullQueuePolicy policy_;
  mutable std::mutex mutex_;
  std::condition_variable_any has_room_, has_items_;
  std::deque<T> items_;
  int64_t dropped_ = 0;
  bool is_closed_ = false;
};

}  // namespace hqtrack
