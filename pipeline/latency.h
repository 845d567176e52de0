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

  /// Bucket k holds times up to `upper_ms(k)`; the last one all above as well (1.5 hours).
  using Counts = std::array<int64_t, 270>;
  Counts counts() const;
  void clear();
  static double upper_ms(size_t bucket);
  double sum_s() const;

  struct Percentiles {
    int64_t count = 0;
    double p50_ms = 0.0, p95_ms = 0.0, p99_ms = 0.0;  // to 6 %
  };
  /// Of the times that came between two moments, or since the first.
  static Percentiles percentiles(const Counts& now, const Counts& before = {});

 private:
  Counts counts_{};
  double sum_s_ = 0.0;
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
