#include "io/frame_clock.h"

#include <gtest/gtest.h>

namespace hqtrack::testing {
namespace {

TEST(FrameClock, KeepsTimesThatGrow) {
  FrameClock clock;
  for (const int64_t time : {40000, 80000, 300000, 300001, 9000000}) EXPECT_EQ(clock.next(time, 40000), time);
}

TEST(FrameClock, LetsAFrameWithoutTimeFollowItsPredecessor) {
  FrameClock clock;
  EXPECT_EQ(clock.next({}, 40000), 0);
  EXPECT_EQ(clock.next({}, 20000), 40000);
  EXPECT_EQ(clock.next({}, 20000), 60000);
  EXPECT_EQ(clock.next(100000, 20000), 100000);
  EXPECT_EQ(clock.next({}, 20000), 120000);
}

TEST(FrameClock, IronsOutSmallDisorder) {
  FrameClock clock;
  EXPECT_EQ(clock.next(100000, 40000), 100000);
  EXPECT_EQ(clock.next(100000, 40000), 101000);
  EXPECT_EQ(clock.next(90000, 40000), 102000);
  EXPECT_EQ(clock.next(140000, 40000), 140000);
}

TEST(FrameClock, GoesOnAfterAJumpBack) {
  FrameClock clock;
  EXPECT_EQ(clock.next(95000000, 40000), 95000000);
  EXPECT_EQ(clock.next(0, 40000), 95040000);
  EXPECT_EQ(clock.next(40000, 40000), 95080000);
  EXPECT_EQ(clock.next(200000, 40000), 95240000);
}

}  // namespace
}  // namespace hqtrack::testing
