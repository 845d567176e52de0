#include "core/bounded_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace hqtrack {
namespace {

const std::stop_token kNoStop;

TEST(BoundedQueue, GivesItemsInOrder) {
  BoundedQueue<std::unique_ptr<int>> queue(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.push(std::make_unique<int>(i), kNoStop));
  EXPECT_EQ(queue.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(**queue.pop(kNoStop), i);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(BoundedQueue, ClosedQueueIsDrainedAndTakesNoMore) {
  BoundedQueue<int> queue(2);
  queue.push(1, kNoStop);
  queue.push(2, kNoStop);
  queue.close();
  queue.close();
  EXPECT_FALSE(queue.push(3, kNoStop));
  EXPECT_EQ(queue.pop(kNoStop), 1);
  EXPECT_EQ(queue.pop(kNoStop), 2);
  EXPECT_EQ(queue.pop(kNoStop), std::nullopt);
}

TEST(BoundedQueue, StopLeavesWhatIsInside) {
  BoundedQueue<int> queue(2);
  queue.push(1, kNoStop);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(queue.pop(stop.get_token()), std::nullopt);
  EXPECT_FALSE(queue.push(2, stop.get_token()));
  EXPECT_EQ(queue.size(), 1u);
}

TEST(BoundedQueue, DropsTheOldestAndCounts) {
  BoundedQueue<int> queue(2, FullQueuePolicy::kDropOldest);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(queue.push(i, kNoStop));
  EXPECT_EQ(queue.dropped(), 3);
  EXPECT_EQ(queue.pop(kNoStop), 3);
  EXPECT_EQ(queue.pop(kNoStop), 4);
}

TEST(BoundedQueue, RejectsCapacityZero) { EXPECT_THROW(BoundedQueue<int>(0), std::invalid_argument); }

TEST(BoundedQueue, FullQueueBlocksUntilThereIsRoom) {
  BoundedQueue<int> queue(1);
  queue.push(1, kNoStop);
  std::atomic<bool> is_pushed = false;
  std::jthread producer([&] {
    EXPECT_TRUE(queue.push(2, kNoStop));
    is_pushed = true;
  });
  EXPECT_FALSE(is_pushed);  // cannot be, as long as nobody pops
  EXPECT_EQ(queue.pop(kNoStop), 1);
  EXPECT_EQ(queue.pop(kNoStop), 2);
  producer.join();
  EXPECT_TRUE(is_pushed);
  EXPECT_EQ(queue.dropped(), 0);
}

TEST(BoundedQueue, StopWakesWhoeverWaits) {
  BoundedQueue<int> full(1), empty(1);
  full.push(1, kNoStop);
  std::stop_source stop;
  std::jthread producer([&] { EXPECT_FALSE(full.push(2, stop.get_token())); });
  std::jthread consumer([&] { EXPECT_EQ(empty.pop(stop.get_token()), std::nullopt); });
  stop.request_stop();  // a lost wake-up would hang the test
}

TEST(BoundedQueue, CloseWakesWhoeverWaits) {
  BoundedQueue<int> full(1), empty(1);
  full.push(1, kNoStop);
  std::jthread producer([&] { EXPECT_FALSE(full.push(2, kNoStop)); });
  std::jthread consumer([&] { EXPECT_EQ(empty.pop(kNoStop), std::nullopt); });
  full.close();
  empty.close();
}

TEST(BoundedQueue, LosesNothingBetweenManyThreads) {
  constexpr int kThreads = 4, kItems = 5000;
  BoundedQueue<int> queue(3);
  std::vector<std::vector<int>> taken(kThreads);
  {
    std::vector<std::jthread> consumers, producers;
    for (int t = 0; t < kThreads; ++t) {
      consumers.emplace_back([&, t] {
        while (const auto item = queue.pop(kNoStop)) taken[t].push_back(*item);
      });
      producers.emplace_back([&, t] {
        for (int i = 0; i < kItems; ++i) queue.push(t * kItems + i, kNoStop);
      });
    }
    producers.clear();  // joins
    queue.close();
  }
  std::vector<int> all, expected(kThreads * kItems);
  for (const auto& items : taken) all.insert(all.end(), items.begin(), items.end());
  std::sort(all.begin(), all.end());
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

TEST(BoundedQueue, WaitsForRoom) {
  BoundedQueue<int> queue(1);
  EXPECT_TRUE(queue.wait_for_room({}));
  queue.push(1, {});
  std::jthread taker([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    queue.pop({});
  });
  EXPECT_TRUE(queue.wait_for_room({}));
  EXPECT_EQ(queue.size(), 0U);
  queue.close();
  EXPECT_FALSE(queue.wait_for_room({}));
}

TEST(BoundedQueue, WaitsUntilItIsEmpty) {
  BoundedQueue<int> queue(3, FullQueuePolicy::kDropOldest);
  EXPECT_TRUE(queue.wait_until_empty({}));
  queue.push(1, {});
  queue.push(2, {});
  std::jthread taker([&] {
    for (int i = 0; i < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      queue.pop({});
    }
  });
  EXPECT_TRUE(queue.wait_until_empty({}));
  EXPECT_EQ(queue.size(), 0U);
  queue.close();
  EXPECT_FALSE(queue.wait_until_empty({}));
}

}  // namespace
}  // namespace hqtrack
