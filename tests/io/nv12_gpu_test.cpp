#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "io/nv12.h"
#include "tests/io/nv12_picture.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

TEST(Nv12Gpu, MatchesTheCpu) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "skipped: no GPU";
#ifdef HQTRACK_WITH_CUDA
  for (const int bits : {8, 10}) {
    for (const auto& [height, width] : {std::pair{64, 96}, {51, 83}, {1, 1}}) {
      const DrawnNv12 drawn(height, width, bits, AVCOL_SPC_BT709, AVCOL_RANGE_MPEG);
      const auto on_gpu = [](const uint8_t* plane, int64_t bytes) {
        return at::from_blob(const_cast<uint8_t*>(plane), {bytes}, at::kByte).to(at::kCUDA);
      };
      Nv12Picture picture = drawn.picture;
      const at::Tensor luma = on_gpu(picture.luma, picture.luma_pitch * height),
                       chroma = on_gpu(picture.chroma, picture.chroma_pitch * ((height + 1) / 2));
      picture.luma = luma.const_data_ptr<uint8_t>();
      picture.chroma = chroma.const_data_ptr<uint8_t>();
      const at::Tensor rgb = nv12_to_rgb_cuda(picture, drawn.formula);
      EXPECT_TRUE(rgb.is_cuda());
      EXPECT_TENSORS_CLOSE(rgb.cpu().to(at::kFloat), rgb_of(drawn).to(at::kFloat), 0, 1);
    }
  }
#endif
}

}  // namespace
}  // namespace hqtrack::testing
