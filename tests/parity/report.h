#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace hqtrack::parity {

/// Counts checks and prints one line for each that fails.
class Report {
 public:
  void check(bool passed, const std::string& name, const std::string& detail = "");
  /// |actual - expected| <= atol + rtol |expected| everywhere, shapes equal (or equal after layout changes
  /// the caller made).
  void compare(const std::string& name, const at::Tensor& actual, const at::Tensor& expected, double atol,
               double rtol = 0.0);
  /// At most `allowed` pixels differ.
  void compare_labels(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                      int64_t allowed);
  /// Runs a part of the work. What it throws is one failed check, and does not hide other parts.
  void guard(const std::string& name, const std::function<void()>& part);
  /// Prints "N passed, M failed"; the exit status.
  int finish() const;

 private:
  int passed_ = 0, failed_ = 0;
};

}  // namespace hqtrack::parity
