#include "pipeline/latency.h"

#include <gtest/gtest.h>

namespace hqtrack {
namespace {

using namespace std::chrono_literals;

TEST(LatencyHistogram, TellsPercentiles) {
  LatencyHistogram latency;
  EXPECT_EQ(LatencyHistogram::percentiles(latency.counts()).count, 0);
  for (int i = 1; i <= 1000; ++i) latency.add(std::chrono::milliseconds(i));
  const auto found = LatencyHistogram::percentiles(latency.counts());
  EXPECT_EQ(found.count, 1000);
  EXPECT_NEAR(found.p50_ms, 500, 0.06 * 500);
  EXPECT_NEAR(found.p95_ms, 950, 0.06 * 950);
  EXPECT_NEAR(found.p99_ms, 990, 0.06 * 990);
}

TEST(LatencyHistogram, HoldsAnyTime) {
  LatencyHistogram latency;
  latency.add(-5ms);
  latency.add(0ms);
  EXPECT_LE(LatencyHistogram::percentiles(latency.counts()).p99_ms, 1.0);
  for (int i = 0; i < 98; ++i) latency.add(100h);
  EXPECT_GT(LatencyHistogram::percentiles(latency.counts()).p50_ms, 1e6);
}

TEST(StageTime, FollowsTheMean) {
  StageTime time;
  EXPECT_EQ(time.mean(), 0ms);
  time.add(80ms);
  EXPECT_EQ(time.mean(), 80ms);
  for (int i = 0; i < 100; ++i) time.add(20ms);
  EXPECT_NEAR(std::chrono::duration<double>(time.mean()).count(), 0.020, 0.001);
}

}  // namespace
}  // namespace hqtrack
