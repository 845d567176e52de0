#include "io/live_clock.h"

#include <gtest/gtest.h>

namespace hqtrack::testing {
namespace {

constexpr int64_t kFrame = 40'000, kHour = 3'600'000'000;

TEST(LiveClock, KeepsTheDistancesOfTheStream) {
  LiveClock clock;
  // Frames arrive in bursts; their times do not.
  EXPECT_EQ(clock.next(7'000'000, 100), 100);
  for (const int64_t i : {1, 2, 3, 4}) {
    EXPECT_NEAR(static_cast<double>(clock.next(7'000'000 + i * kFrame, 3 * kFrame)),
                static_cast<double>(100 + i * kFrame), 2000);
  }
}

TEST(LiveClock, LaysAStreamThatJumpsOrWrapsWhereItArrives) {
  LiveClock clock;
  clock.next(0, 0);
  EXPECT_EQ(clock.next(26 * kHour, kFrame), kFrame);  // 33 bits of 90 kHz are 26.5 hours
  EXPECT_EQ(clock.next(kFrame, 2 * kFrame), 2 * kFrame);
  EXPECT_EQ(clock.next(2 * kFrame, 3 * kFrame), 3 * kFrame);
}

TEST(LiveClock, GoesOnAfterAnOutage) {
  LiveClock clock;
  clock.next(500'000, 0);
  clock.restart();
  EXPECT_EQ(clock.next(0, 9'000'000), 9'000'000);
  EXPECT_EQ(clock.next(kFrame, 9'000'000 + kFrame), 9'000'000 + kFrame);
}

TEST(LiveClock, TakesTheArrivalOfFramesWithoutATime) {
  LiveClock clock;
  EXPECT_EQ(clock.next({}, 10), 10);
  EXPECT_EQ(clock.next({}, 10), 11) << "times grow";
  EXPECT_EQ(clock.next({}, kFrame), kFrame);
}

TEST(LiveClock, IsDrawnAlongByAStreamThatRunsFast) {
  LiveClock clock;
  // A thousandth too fast: 3.6 s an hour. Without a jump, and never far off.
  int64_t last_us = -1;
  for (int64_t i = 0; i < 90'000; ++i) {
    const int64_t arrival_us = i * kFrame, time_us = clock.next(arrival_us + arrival_us / 1000, arrival_us);
    ASSERT_LT(std::abs(time_us - arrival_us), 50'000) << "frame " << i;
    ASSERT_GT(time_us, last_us);
    last_us = time_us;
  }
}

}  // namespace
}  // namespace hqtrack::testing
