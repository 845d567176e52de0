#include "tests/support/golden.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <cstdlib>

namespace hqtrack::testing {
namespace fs = std::filesystem;

fs::path repository_root() { return HQTRACK_SOURCE_DIR; }

fs::path shared_root() {
  const char* given = std::getenv("HQTRACK_SHARED");
  const fs::path root = given ? fs::path(given) : repository_root() / ".." / "shared";
  return fs::exists(root / "golden") ? root.lexically_normal() : fs::path{};
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "hqtrack_test_XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

::testing::AssertionResult tensors_close(const at::Tensor& actual, const at::Tensor& expected, double rtol,
                                         double atol) {
  if (actual.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure() << "shape " << actual.sizes() << ", expected " << expected.sizes();
  }
  if (expected.numel() == 0) return ::testing::AssertionSuccess();
  const at::Tensor a = actual.detach().to(at::kCPU, at::kDouble),
                   b = expected.detach().to(at::kCPU, at::kDouble);
  const at::Tensor difference = (a - b).abs();
  const at::Tensor excess = difference - (b.abs() * rtol + atol);
  if (excess.max().item<double>() <= 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "largest difference " << difference.max().item<double>() << ", "
         << (excess > 0).sum().item<int64_t>() << " of " << b.numel() << " values out of tolerance (rtol "
         << rtol << ", atol " << atol << ")";
}

}  // namespace hqtrack::testing
