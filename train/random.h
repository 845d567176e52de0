#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace hqtrack {

/// Random numbers that depend on nothing but (seed, stream): the same on every machine, in every thread
/// order. Clip number n of a run draws from stream n. xoshiro256** seeded by splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) {
    uint64_t state = seed * 0x9E3779B97F4A7C15ull ^ (stream + 1) * 0xD1B54A32D192ED03ull;
    for (uint64_t& word : state_) word = splitmix(state);
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9, shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform on a logarithmic scale; 0 < low <= high.
  double log_uniform(double low, double high) { return std::exp(uniform(std::log(low), std::log(high))); }
  bool chance(double probability) { return uniform() < probability; }
  /// In 0 .. count - 1; count >= 1.
  int64_t index(int64_t count) { return static_cast<int64_t>(uniform() * static_cast<double>(count)); }
  /// In first .. last, both included.
  int64_t integer(int64_t first, int64_t last) { return first + index(last - first + 1); }

  double normal(double sigma = 1.0) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return sigma * radius * std::cos(6.283185307179586 * uniform());
  }

  /// Position of the chosen weight; weights need not sum to one.
  int64_t weighted(const std::vector<double>& weights) {
    double total = 0;
    for (double weight : weights) total += weight;
    double left = uniform() * total;
    for (size_t i = 0; i + 1 < weights.size(); ++i) {
      if ((left -= weights[i]) < 0) return static_cast<int64_t>(i);
    }
    return static_cast<int64_t>(weights.size()) - 1;
  }

  template <class T>
  const T& choose(const std::vector<T>& items) {
    return items[index(static_cast<int64_t>(items.size()))];
  }

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[index(static_cast<int64_t>(i))]);
  }

 private:
  static uint64_t rotate(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }
  static uint64_t splitmix(uint64_t& state) {
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  uint64_t state_[4];
};

}  // namespace hqtrack
