#include "core/device.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace hqtrack {
namespace {

TEST(ResolveDevice, TakesTheFirstGpuOrTheCpu) {
  EXPECT_TRUE(resolve_device("cpu").is_cpu());
  EXPECT_EQ(resolve_device("auto").is_cuda(), cuda_device_count() > 0);
}

TEST(ResolveDevice, FindsEveryGpuThereIsAndNoOther) {
  const int64_t count = cuda_device_count();
  for (int64_t i = 0; i < count; ++i) EXPECT_EQ(resolve_device("cuda:" + std::to_string(i)).index(), i);
  EXPECT_THROW(resolve_device("cuda:" + std::to_string(count)), DeviceError);
  if (count == 0) {
    EXPECT_THROW(resolve_device("cuda"), DeviceError);
  }
}

TEST(ResolveDevice, RejectsOtherTexts) {
  for (const char* name :
       {"", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda: 1", "cuda:99999999999", "cpu:0"}) {
    EXPECT_THROW(resolve_device(name), DeviceError) << name;
    EXPECT_FALSE(is_device_name(name)) << name;
  }
}

TEST(IsDeviceName, IsTrueWhetherThereIsSuchADeviceOrNot) {
  for (const char* name : {"auto", "cpu", "cuda", "cuda:0", "cuda:63"})
    EXPECT_TRUE(is_device_name(name)) << name;
}

}  // namespace
}  // namespace hqtrack
