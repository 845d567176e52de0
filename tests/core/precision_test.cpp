#include "core/precision.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "core/cpu_kernels.h"
#include "core/dense.h"
#include "core/layers.h"

namespace hqtrack {
namespace {

TEST(ResolvePrecision, IsWhatTheCpuHasInstructionsFor) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(resolve_precision("fp32", at::kCPU), Precision::kFloat32);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  ::testing::internal::CaptureStderr();
  const bool has_bf16 = bf16_cpu_kernels() != nullptr;
  EXPECT_EQ(resolve_precision("bf16", at::kCPU), has_bf16 ? Precision::kBFloat16 : Precision::kFloat32);
  EXPECT_EQ(::testing::internal::GetCapturedStderr().empty(), has_bf16);
  ::testing::internal::CaptureStderr();
  const bool has_int8 = !int8_kernels().empty();
  EXPECT_EQ(resolve_precision("int8", at::kCPU),
            has_int8 ? Precision::kInt8 : resolve_precision("bf16", at::kCPU));
  EXPECT_EQ(::testing::internal::GetCapturedStderr().empty(), has_int8);
  EXPECT_EQ(resolve_precision("fp16", at::kCPU), resolve_precision("bf16", at::kCPU));
}

TEST(ResolvePrecision, HasFloat16OnAGpuAndNoBytes) {
  EXPECT_EQ(resolve_precision("fp32", at::kCUDA), Precision::kFloat32);
  EXPECT_EQ(resolve_precision("bf16", at::kCUDA), Precision::kBFloat16);
  EXPECT_EQ(resolve_precision("int8", at::kCUDA), Precision::kBFloat16);
  EXPECT_EQ(resolve_precision("fp16", at::kCUDA), Precision::kFloat16);
}

TEST(AllowTf32, IsForProductsAndConvolutions) {
  const at::Context& context = at::globalContext();
  for (const bool is_allowed : {true, false}) {
    allow_tf32(is_allowed);
    EXPECT_EQ(context.allowTF32CuBLAS(), is_allowed);
    EXPECT_EQ(context.allowTF32CuDNN(), is_allowed);
  }
}

TEST(CpuKernels, OfBFloat16AreThoseOfFloat32WhereThereAreNone) {
  EXPECT_EQ(&cpu_kernels_of(Precision::kFloat32), cpu_kernels().front());
  EXPECT_EQ(&cpu_kernels_of(Precision::kBFloat16),
            bf16_cpu_kernels() ? bf16_cpu_kernels() : cpu_kernels().front());
  EXPECT_EQ(&cpu_kernels_of(Precision::kInt8), &cpu_kernels_of(Precision::kBFloat16));
}

TEST(CpuKernels, ForWeightsAreOfBytesWhereThereAreSome) {
  EXPECT_EQ(&weight_kernel_of(Precision::kFloat32, 1000), &cpu_kernels().front()->matrix);
  EXPECT_EQ(&weight_kernel_of(Precision::kInt8, 1000),
            int8_kernels().empty() ? &cpu_kernels_of(Precision::kBFloat16).matrix : int8_kernels().front());
  EXPECT_EQ(&weight_kernel_of(Precision::kInt8, 8), &cpu_kernels_of(Precision::kBFloat16).matrix);
}

TEST(SetPrecision, ReachesLayersOfLayers) {
  struct Network : torch::nn::Module {
    Linear linear = register_module("linear", Linear(2, 3));
    Conv2d conv = register_at(*this, "inner.conv", Conv2d(torch::nn::Conv2dOptions(2, 3, 1)));
  };
  const auto network = std::make_shared<Network>();
  set_precision(*network, Precision::kBFloat16);
  EXPECT_EQ(network->linear->precision, Precision::kBFloat16);
  EXPECT_EQ(network->conv->precision, Precision::kBFloat16);
  set_precision(*network, Precision::kFloat32);
  EXPECT_EQ(network->conv->precision, Precision::kFloat32);
}

}  // namespace
}  // namespace hqtrack
