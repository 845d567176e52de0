#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "train/random.h"

namespace hqtrack {

/// Training examples by number. The same number gives the same example, whatever was asked for before and by
/// which thread.
template <class Example>
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  virtual Example example(int64_t number) const = 0;
};

/// Examples of two sources, the second one with a fixed share.
template <class Example>
class MixedSource : public ExampleSource<Example> {
 public:
  using Source = ExampleSource<Example>;
  MixedSource(std::unique_ptr<Source> first, std::unique_ptr<Source> second, double share_of_second,
              uint64_t seed)
      : first_(std::move(first)),
        second_(std::move(second)),
        share_of_second_(share_of_second),
        seed_(seed) {}

  Example example(int64_t number) const override {
    Random random(seed_ ^ 0x317, static_cast<uint64_t>(number));
    return (random.chance(share_of_second_) ? *second_ : *first_).example(number);
  }

 private:
  std::unique_ptr<Source> first_, second_;
  double share_of_second_;
  uint64_t seed_;
};

}  // namespace hqtrack
