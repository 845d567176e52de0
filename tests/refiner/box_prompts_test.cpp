#include "refiner/box_prompts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

at::Tensor boxes(std::initializer_list<double> corners) {
  return at::tensor(std::vector<double>(corners), at::kDouble).view({-1, 4});
}

TEST(BoxPrompts, AreTheFirstAndLastPixelsInside) {
  at::Tensor mask = at::zeros({20, 30}, at::kByte);
  mask.narrow(0, 4, 3).narrow(1, 10, 7).fill_(5);
  mask[15][2] = 200;  // one pixel
  mask[18][9] = 200;  // and another, away from it
  const BoxPrompts found = box_prompts(mask, {});
  EXPECT_EQ(found.ids, (std::vector<int64_t>{5, 200}));
  EXPECT_TRUE(at::equal(found.prompts.boxes, boxes({10, 4, 16, 6, 2, 15, 9, 18})));
}

TEST(BoxPrompts, OfAFullMaskIsThePictureAndOfAnEmptyOneIsNone) {
  EXPECT_TRUE(at::equal(box_prompts(at::ones({20, 30}, at::kByte), {}).prompts.boxes, boxes({0, 0, 29, 19})));
  const BoxPrompts none = box_prompts(at::zeros({20, 30}, at::kByte), {});
  EXPECT_TRUE(none.ids.empty());
  EXPECT_FALSE(none.prompts.boxes.defined());
}

TEST(BoxPrompts, AMarginEndsAtThePicture) {
  at::Tensor mask = at::zeros({20, 30}, at::kByte);
  mask.narrow(0, 0, 2).narrow(1, 12, 8).fill_(1);   // at the upper edge, longer edge 8
  mask.narrow(0, 16, 4).narrow(1, 26, 4).fill_(2);  // in the lower right corner
  RefinerConfig config;
  config.box_margin = 0.25;
  EXPECT_TRUE(at::equal(box_prompts(mask, config).prompts.boxes, boxes({10, 0, 21, 3, 25, 15, 29, 19})));
}

TEST(BoxPrompts, SmallObjectsAreLeftOut) {
  at::Tensor mask = at::zeros({20, 30}, at::kByte);
  mask.narrow(0, 0, 2).narrow(1, 0, 3).fill_(1);   // 6 pixels
  mask.narrow(0, 10, 1).narrow(1, 0, 5).fill_(2);  // 5 pixels
  RefinerConfig config;
  config.min_area_px = 6;
  EXPECT_EQ(box_prompts(mask, config).ids, (std::vector<int64_t>{1}));
}

TEST(CropAround, ShowsTheSurroundingsAsFarAsThePictureGoes) {
  RefinerConfig config;
  config.crop_margin = 0.2;
  config.crop_margin_px = 8;  // 0.2 * 19 + 8 = 11.8 on each side
  const Box crop = crop_around({10, 20, 29, 27}, {50, 100}, config);
  EXPECT_EQ(crop.x0, 0);
  EXPECT_EQ(crop.y0, 8);
  EXPECT_EQ(crop.x1, 41);
  EXPECT_EQ(crop.y1, 39);
  const Box corner = crop_around({90, 40, 99, 49}, {50, 100}, config);
  EXPECT_EQ(corner.x1, 100);
  EXPECT_EQ(corner.y1, 50);
  config.crop_margin = 0;
  config.crop_margin_px = 0;
  const Box pixel = crop_around({7, 9, 7, 9}, {50, 100}, config);
  EXPECT_EQ(pixel.x1 - pixel.x0, 1);
  EXPECT_EQ(pixel.y1 - pixel.y0, 1);
}

}  // namespace
}  // namespace hqtrack
