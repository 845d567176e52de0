#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace hqtrack::testing {

/// Root of the repository: tests read configs/, models/ and tests/data/ below it.
std::filesystem::path repository_root();

/// The reference material that is not part of the repository (environment HQTRACK_SHARED, else ../shared
/// beside the repository); empty when it is not there. Tests that need it skip and say so.
std::filesystem::path shared_root();

/// Fresh empty folder, removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Largest absolute difference; fails with the numbers when shapes differ or it exceeds atol + rtol *
/// |expected|.
::testing::AssertionResult tensors_close(const at::Tensor& actual, const at::Tensor& expected, double rtol,
                                         double atol);

}  // namespace hqtrack::testing

#define EXPECT_TENSORS_CLOSE(actual, expected, rtol, atol) \
  EXPECT_TRUE(::hqtrack::testing::tensors_close((actual), (expected), (rtol), (atol)))
