#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace hqtrack {

/// How long frames took, as a distribution that needs no more memory after weeks. Any thread.
class LatencyHistogram {
 public:
  void add(std::chrono::steady_clock::duration time);

  struct Percentiles {
    int64_t count = 0;
    double p50_ms = 0.0, p95_ms = 0.0, p99_ms = 0.0;  // to 6 %
  };
  Percentiles percentiles() const;

 private:
  // Bucket k holds times of 2^((k - 1) / 12) to 2^(k / 12) ms; the last one all above (1.5 hours).
  std::array<int64_t, 270> counts_{};
  mutable std::mutex mutex_;
};

/// The time that a stage takes for a frame, as a moving mean. Any thread.
class StageTime {
 public:
  using Duration = std::chrono::steady_clock::duration;
  void add(Duration time);
  /// 0 before the first.
  Duration mean() const;

 private:
  Duration mean_{0};
  bool has_some_ = false;
  mutable std::mutex mutex_;
};

}  // namespace hqtrack
