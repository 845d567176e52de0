#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace hqtrack::parity {

/// Counts checks and prints one line for each that fails.
class Report {
 public:
  void check(bool passed, const std::string& name, const std::string& detail = "");
  /// |actual - expected| <= atol everywhere, shapes equal (or equal after layout changes the caller made).
  void compare(const std::string& name, const at::Tensor& actual, const at::Tensor& expected, double atol);
  /// At most `allowed` pixels differ.
  void compare_labels(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                      int64_t allowed);
  /// Prints "N passed, M failed"; the exit status.
  int finish() const;

 private:
  int passed_ = 0, failed_ = 0;
};

}  // namespace hqtrack::parity
