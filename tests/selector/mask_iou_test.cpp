#include "selector/mask_iou.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace hqtrack {
namespace {

at::Tensor rectangle(int64_t y, int64_t x, int64_t height, int64_t width) {
  at::Tensor mask = at::zeros({40, 50}, at::kBool);
  mask.narrow(0, y, height).narrow(1, x, width).fill_(true);
  return mask;
}

TEST(MaskIou, IsTheShareOfCommonPixels) {
  EXPECT_NEAR(mask_iou(rectangle(0, 0, 10, 10), rectangle(5, 0, 10, 10)), 50.0 / 150, 1e-7);
  EXPECT_NEAR(mask_iou(rectangle(0, 0, 10, 10), rectangle(20, 20, 5, 5)), 0, 1e-7);
  const at::Tensor empty = at::zeros({40, 50}, at::kBool);
  EXPECT_EQ(mask_iou(empty, empty), 1.0);
  EXPECT_THROW(mask_iou(empty, empty.narrow(0, 0, 39)), c10::Error);
}

TEST(MaskIou, CountsAnyValueButZeroAsInside) {
  const at::Tensor mask = rectangle(3, 4, 10, 10);
  EXPECT_EQ(mask_iou(mask, mask.to(at::kByte) * 200), 1.0);
}

// Inside, with anything else in the (2 width + 1)^2 pixels around it.
at::Tensor plain_boundary(const at::Tensor& mask, int64_t width) {
  at::Tensor boundary = at::zeros(mask.sizes(), at::kByte);
  for (int64_t y = 0; y < mask.size(0); ++y) {
    for (int64_t x = 0; x < mask.size(1); ++x) {
      if (!mask[y][x].item<bool>()) continue;
      bool is_deep = y >= width && x >= width && y + width < mask.size(0) && x + width < mask.size(1);
      if (is_deep) {
        is_deep =
            mask.narrow(0, y - width, 2 * width + 1).narrow(1, x - width, 2 * width + 1).all().item<bool>();
      }
      boundary[y][x] = !is_deep;
    }
  }
  return boundary;
}

TEST(MaskBoundary, EqualsThePlainRule) {
  at::manual_seed(6);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {2, 9}, {23, 17}, {30, 31}}) {
    const at::Tensor solid = at::ones({height, width}, at::kBool);
    for (const at::Tensor& mask : {solid, at::rand({height, width}) < 0.97, at::zeros_like(solid)}) {
      for (const int64_t boundary_px : {1, 2, 5, 12}) {
        EXPECT_TRUE(at::equal(mask_boundary(mask, boundary_px), plain_boundary(mask, boundary_px)))
            << height << " x " << width << ", " << boundary_px;
      }
    }
  }
}

TEST(MaskBoundary, WidthIsTwoPercentOfTheDiagonal) {
  EXPECT_EQ(boundary_width_px(30, 40), 1);
  EXPECT_EQ(boundary_width_px(240, 320), 8);
  EXPECT_EQ(boundary_width_px(75, 100), 2);  // 2.5: halves to even
  EXPECT_EQ(boundary_width_px(1, 1), 1);
}

TEST(BoundaryIou, ComparesRingsOnly) {
  const at::Tensor whole = rectangle(5, 5, 20, 20);
  at::Tensor hollow = whole.clone();
  EXPECT_EQ(boundary_iou(whole, hollow), 1.0);
  const at::Tensor smaller = rectangle(6, 6, 18, 18);  // its ring of one pixel lies within the other's
  EXPECT_EQ(boundary_width_px(40, 50), 1);
  EXPECT_EQ(boundary_iou(whole, smaller), 0.0);
  const at::Tensor empty = at::zeros({40, 50}, at::kBool);
  EXPECT_EQ(boundary_iou(empty, empty), 1.0);
  EXPECT_EQ(boundary_iou(empty, whole), 0.0);
}

}  // namespace
}  // namespace hqtrack
