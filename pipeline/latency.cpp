#include "pipeline/latency.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hqtrack {
namespace {
constexpr double kBucketsPerOctave = 12;
}

void LatencyHistogram::add(std::chrono::steady_clock::duration time) {
  const double ms = std::chrono::duration<double, std::milli>(time).count();
  const double bucket = ms > 1 ? std::ceil(kBucketsPerOctave * std::log2(ms)) : 0;
  const std::lock_guard lock(mutex_);
  ++counts_[std::min(static_cast<size_t>(bucket), counts_.size() - 1)];
  sum_s_ += std::max(ms, 0.0) * 1e-3;
}

double LatencyHistogram::sum_s() const {
  const std::lock_guard lock(mutex_);
  return sum_s_;
}

LatencyHistogram::Counts LatencyHistogram::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void LatencyHistogram::clear() {
  const std::lock_guard lock(mutex_);
  counts_ = {};
  sum_s_ = 0.0;
}

double LatencyHistogram::upper_ms(size_t bucket) {
  return std::exp2(static_cast<double>(bucket) / kBucketsPerOctave);
}

LatencyHistogram::Percentiles LatencyHistogram::percentiles(const Counts& now, const Counts& before) {
  Counts between = now;
  for (size_t bucket = 0; bucket < now.size(); ++bucket) between[bucket] -= before[bucket];
  const int64_t count = std::accumulate(between.begin(), between.end(), int64_t{0});
  const auto at = [&](double share) {
    int64_t sum = 0;
    for (size_t bucket = 0; bucket < between.size(); ++bucket) {
      sum += between[bucket];
      if (static_cast<double>(sum) >= share * static_cast<double>(count)) return upper_ms(bucket);
    }
    return 0.0;
  };
  if (count == 0) return {};
  return {.count = count, .p50_ms = at(0.5), .p95_ms = at(0.95), .p99_ms = at(0.99)};
}

void StageTime::add(Duration time) {
  constexpr int64_t kFrames = 8;
  const std::lock_guard lock(mutex_);
  mean_ = has_some_ ? mean_ + (time - mean_) / kFrames : time;
  has_some_ = true;
}

StageTime::Duration StageTime::mean() const {
  const std::lock_guard lock(mutex_);
  return mean_;
}

}  // namespace hqtrack
