#include "core/threads.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace hqtrack {
namespace {

// Each test in a thread of its own: the number of threads belongs to the thread that sets it.
template <class Work>
void in_a_thread(Work work) {
  std::thread(work).join();
}

TEST(Threads, SetsThemForTheCallingThreadOnly) {
  const int before = at::get_num_threads();
  in_a_thread([] {
    set_threads(3, 2);
    EXPECT_EQ(at::get_num_threads(), 3);
  });
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(ShareOut, DoesEveryPieceOnce) {
  for (const int threads : {1, 2, 5}) {
    in_a_thread([threads] {
      set_threads(1, threads);
      for (const int64_t count : {0, 1, 2, 7, 1000}) {
        std::vector<std::atomic<int>> done(count);
        share_out(count, [&](int64_t i) { ++done[i]; });
        for (const std::atomic<int>& each : done) EXPECT_EQ(each, 1);
      }
    });
  }
}

TEST(ShareOut, ThrowsWhatAPieceThrewWhenAllAreDone) {
  in_a_thread([] {
    set_threads(1, 4);
    for (int round = 0; round < 50; ++round) {
      std::atomic<int> done = 0;
      const auto work = [&](int64_t i) {
        ++done;
        if (i % 3 == 1) throw std::runtime_error("piece " + std::to_string(i % 3));
      };
      try {
        share_out(8, work);
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "piece 1");
      }
      EXPECT_EQ(done, 8);
    }
  });
}

TEST(ShareOut, WorksWithinItself) {
  in_a_thread([] {
    set_threads(1, 3);
    std::atomic<int> sum = 0;
    share_out(6, [&](int64_t i) { share_out(4, [&](int64_t j) { sum += static_cast<int>(i * j); }); });
    EXPECT_EQ(sum, 15 * 6);
  });
}

TEST(ShareOut, ServesManyCallersAtOnce) {
  std::atomic<int> sum = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      set_threads(1, 4);
      for (int round = 0; round < 200; ++round) share_out(8, [&](int64_t) { ++sum; });
    });
  }
  callers.clear();
  EXPECT_EQ(sum, 4 * 200 * 8);
}

TEST(RunBoth, RunsBothAndThrowsWhatTheFirstThrew) {
  for (const bool beside : {false, true}) {
    in_a_thread([beside] {
      const c10::InferenceMode guard(beside);
      set_threads(1, 2);
      bool is_first_done = false, is_second_done = false;
      run_both([&] { is_first_done = true; },
               [&] { is_second_done = c10::InferenceMode::is_enabled() == beside; });
      EXPECT_TRUE(is_first_done);
      EXPECT_TRUE(is_second_done);
      try {
        run_both([] { throw std::runtime_error("first"); }, [] { throw std::runtime_error("second"); });
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "first");
      }
      EXPECT_THROW(run_both([] {}, [] { throw std::logic_error("second"); }), std::logic_error);
    });
  }
}

TEST(RunBoth, GivesOperatorsOneThreadWhoeverRunsThem) {
  in_a_thread([] {
    const c10::InferenceMode guard;
    set_threads(2, 2);
    for (int round = 0; round < 100; ++round) {
      int first = 0, second = 0;
      run_both([&] { first = at::get_num_threads(); }, [&] { second = at::get_num_threads(); });
      ASSERT_EQ(first, 1);
      ASSERT_EQ(second, 1);
      ASSERT_EQ(at::get_num_threads(), 2);
    }
  });
}

TEST(RunEach, DoesEveryOneAndThrowsWhatTheFirstThrew) {
  in_a_thread([] {
    const c10::InferenceMode guard;
    set_threads(1, 2);
    std::vector<std::atomic<int>> done(7);
    const auto work = [&](int64_t i) {
      ++done[i];
      if (i >= 3) throw std::runtime_error(std::to_string(i));
    };
    try {
      run_each(7, work);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "3");
    }
    for (const std::atomic<int>& each : done) EXPECT_EQ(each, 1);
  });
}

TEST(SerialOperators, LeaveOneThreadToOperatorsWhereThereAreFew) {
  in_a_thread([] {
    for (const int threads : {1, 2, 4}) {
      set_threads(threads, 0);
      {
        const SerialOperators scope;
        EXPECT_EQ(at::get_num_threads(), threads == 2 ? 1 : threads);
        EXPECT_EQ(shared_threads(), threads);
        const SerialOperators within;
        EXPECT_EQ(shared_threads(), threads);
      }
      EXPECT_EQ(at::get_num_threads(), threads);
      EXPECT_EQ(shared_threads(), threads);
    }
  });
}

// Asked for after longer than a helper waits for work, so that it sleeps.
TEST(ShareOut, WakesHelpersThatSleep) {
  in_a_thread([] {
    set_threads(1, 2);
    for (int round = 0; round < 3; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      std::atomic<int> started = 0, num_met = 0;
      share_out(2, [&](int64_t) {  // each waits for the other: they run beside each other
        ++started;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (started < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        if (started == 2) ++num_met;
      });
      EXPECT_EQ(num_met, 2);
    }
  });
}

}  // namespace
}  // namespace hqtrack
