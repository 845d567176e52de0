#include "tests/parity/report.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <sstream>

namespace hqtrack::parity {

void Report::check(bool passed, const std::string& name, const std::string& detail) {
  ++(passed ? passed_ : failed_);
  if (!passed) std::printf("FAILED %s: %s\n", name.c_str(), detail.c_str());
}

void Report::compare(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                     double atol) {
  std::ostringstream detail;
  if (!actual.defined()) return check(false, name, "the network gives no such tensor");
  if (actual.numel() != expected.numel()) {
    detail << "expected shape " << expected.sizes() << ", found " << actual.sizes();
    return check(false, name, detail.str());
  }
  const double difference =
      (actual.detach().to(at::kDouble).reshape(expected.sizes()) - expected.to(at::kDouble))
          .abs()
          .max()
          .item<double>();
  detail << "largest difference " << difference << ", allowed " << atol;
  check(difference <= atol, name, detail.str());  // a difference that is not a number fails
}

void Report::compare_labels(const std::string& name, const at::Tensor& actual, const at::Tensor& expected,
                            int64_t allowed) {
  if (actual.sizes() != expected.sizes()) return check(false, name, "shapes differ");
  const int64_t different = (actual != expected).sum().item<int64_t>();
  check(different <= allowed, name,
        std::to_string(different) + " pixels differ, allowed " + std::to_string(allowed));
}

int Report::finish() const {
  std::printf("%d passed, %d failed\n", passed_, failed_);
  return failed_ == 0 && passed_ > 0 ? 0 : 1;
}

}  // namespace hqtrack::parity
