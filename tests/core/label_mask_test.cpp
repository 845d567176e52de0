#include "core/label_mask.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace hqtrack {
namespace {

TEST(LabelRegions, CountsAndBoxesEveryId) {
  at::Tensor mask = at::zeros({5, 6}, at::kByte);
  mask.slice(0, 1, 3).slice(1, 2, 4).fill_(7);
  mask[4][5] = 255;
  mask[0][0] = 7;
  const auto regions = label_regions(mask);
  EXPECT_EQ(regions[7].area_px, 5);
  EXPECT_EQ(regions[7].box.x0, 0);
  EXPECT_EQ(regions[7].box.y0, 0);
  EXPECT_EQ(regions[7].box.x1, 4);
  EXPECT_EQ(regions[7].box.y1, 3);
  EXPECT_EQ(regions[255].area_px, 1);
  EXPECT_EQ(regions[255].box.x0, 5);
  EXPECT_EQ(regions[255].box.y1, 5);
  EXPECT_EQ(regions[0].area_px, 24);
  EXPECT_TRUE(regions[1].box.is_empty());
  EXPECT_EQ(label_ids(mask), (std::vector<int64_t>{7, 255}));
}

TEST(LabelRegions, RejectsWhatIsNoLabelMask) {
  EXPECT_THROW(label_regions(at::zeros({4, 4})), c10::Error);
  EXPECT_THROW(label_regions(at::zeros({4}, at::kByte)), c10::Error);
  EXPECT_THROW(label_regions(at::zeros({4, 6}, at::kByte).t()), c10::Error);
}

TEST(ResizeLabels, IsPyTorchsNearest) {
  std::mt19937 random(1);
  for (const auto& [height, width, out_height, out_width] : {std::array<int64_t, 4>{480, 854, 481, 849},
                                                             {481, 849, 480, 854},
                                                             {7, 5, 31, 1},
                                                             {1, 1, 3, 4},
                                                             {120, 160, 481, 641}}) {
    at::Tensor mask = at::empty({height, width}, at::kByte);
    std::generate_n(mask.mutable_data_ptr<uint8_t>(), mask.numel(),
                    [&] { return static_cast<uint8_t>(random()); });
    const at::Tensor expected =
        at::upsample_nearest2d(mask.to(at::kFloat).unsqueeze(0).unsqueeze(0), {out_height, out_width})
            .to(at::kByte)[0][0];
    EXPECT_TRUE(at::equal(resize_labels(mask, out_height, out_width), expected))
        << height << " -> " << out_height;
  }
}

}  // namespace
}  // namespace hqtrack
