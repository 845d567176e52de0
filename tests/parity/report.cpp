#include "tests/parity/report.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <exception>
#include <sstream>

namespace hqtrack::parity {

void Report::check(bool passed, const std::string& name, const std::string& detail) {
  ++(passed ? passed_ : failed_);
  if (!passed) std::printf("FAILED %s: %s\n", name.c_str(), detail.c_str());
}

void Report::compare(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                     double atol, double rtol) {
  std::ostringstream detail;
  if (!actual.defined()) return check(false, name, "the network gives no such tensor");
  if (actual.numel() != expected.numel()) {
    detail << "expected shape " << expected.sizes() << ", found " << actual.sizes();
    return check(false, name, detail.str());
  }
  const at::Tensor truth = expected.to(at::kDouble);
  const at::Tensor difference = (actual.detach().to(at::kDouble).reshape(expected.sizes()) - truth).abs();
  detail << "largest difference " << difference.max().item<double>() << ", allowed " << atol;
  if (rtol > 0) detail << " + " << rtol << " of the value";
  // A difference that is not a number fails.
  check((difference <= truth.abs() * rtol + atol).all().item<bool>(), name, detail.str());
}

void Report::compare_labels(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                            int64_t allowed) {
  if (actual.sizes() != expected.sizes()) return check(false, name, "shapes differ");
  const int64_t different = (actual != expected).sum().item<int64_t>();
  check(different <= allowed, name,
        std::to_string(different) + " pixels differ, allowed " + std::to_string(allowed));
}

void Report::guard(const std::string& name, const std::function<void()>& part) {
  try {
    part();
  } catch (const std::exception& error) {
    check(false, name, error.what());
  }
}

int Report::finish() const {
  std::printf("%d passed, %d failed\n", passed_, failed_);
  return failed_ == 0 && passed_ > 0 ? 0 : 1;
}

}  // namespace hqtrack::parity
