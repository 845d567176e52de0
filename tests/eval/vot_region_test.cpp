#include "eval/vot_region.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace hqtrack {
namespace {

VotMask mask_of(std::string_view text) { return std::get<VotMask>(parse_vot_region(text)); }

std::string fault_of(std::string_view text) {
  try {
    parse_vot_region(text);
  } catch (const MediaError& error) {
    return error.what();
  }
  return "none";
}

TEST(VotRegion, TheExampleOfTheToolkitReadsAndWritesTheSame) {
  // 011 / 111 / 001 at 1,1
  const VotMask mask = mask_of("m1,1,3,3,1,5,2,1");
  EXPECT_EQ(mask.pixels, (std::vector<uint8_t>{0, 1, 1, 1, 1, 1, 0, 0, 1}));
  EXPECT_EQ(to_text(mask), "m1,1,3,3,1,5,2,1");
  EXPECT_EQ(to_trax_text(mask), "mask:1,1,3,3,1,5,2,1");
  // The first pixel is the object's.
  EXPECT_EQ(to_text(mask_of("m1,1,3,3,0,6,2,1")), "m1,1,3,3,0,6,2,1");
}

TEST(VotRegion, TheLastBackgroundMayBeLeftOut) {
  EXPECT_EQ(mask_of("m4,5,3,3,0,4").pixels, mask_of("m4,5,3,3,0,4,5").pixels);
  const VotMask mask{7, 8, 3, 2, {1, 1, 0, 0, 0, 0}};
  EXPECT_EQ(to_text(mask), "m7,8,3,2,0,2,4");
  EXPECT_EQ(to_trax_text(mask), "mask:7,8,3,2,0,2");
}

TEST(VotRegion, AllSpellingsOfAnEmptyMaskAreEmpty) {
  for (const char* text : {"m0,0,1,1,1", "m0,0,0,0,0", "m5,9,4,4,16", "m5,9,4,4", "m3,4,1,6,0,6"}) {
    const VotMask mask = mask_of(text);
    EXPECT_EQ(mask.width, 0) << text;
    EXPECT_TRUE(is_empty(mask)) << text;
    EXPECT_EQ(to_trax_text(mask), "mask:0,0,1,1,1") << text;
    EXPECT_EQ(to_text(mask), "m0,0,0,0,0") << text;
  }
}

TEST(VotRegion, MasksAreCutToTheirPixels) {
  const VotMask mask = mask_of("m-2,3,5,3,6,2,7");
  EXPECT_EQ(mask.x, -1);
  EXPECT_EQ(mask.y, 4);
  EXPECT_EQ(mask.width, 2);
  EXPECT_EQ(mask.height, 1);
}

TEST(VotRegion, OtherShapesByTheirCount) {
  EXPECT_EQ(std::get<VotSpecial>(parse_vot_region("1")).code, 1);
  EXPECT_EQ(std::get<VotPoint>(parse_vot_region("3.5,4")).x, 3.5F);
  EXPECT_EQ(std::get<VotRectangle>(parse_vot_region("1,2,3.25,4")).width, 3.25F);
  EXPECT_EQ(std::get<VotPolygon>(parse_vot_region("0,0,4,0,4,4")).corners.size(), 3U);
  EXPECT_EQ(std::get<VotSpecial>(parse_vot_region("nan,2,3,4")).code, 0);
  EXPECT_EQ(to_text(VotRectangle{1, 2, 3.25, 4}), "1.0000,2.0000,3.2500,4.0000");
  EXPECT_EQ(to_trax_text(VotRectangle{1, 2, 3.25, 4}), "1.0000,2.0000,3.2500,4.0000");
}

TEST(VotRegion, SaysWhatIsWrong) {
  EXPECT_NE(fault_of("").find("expected a region"), std::string::npos);
  EXPECT_NE(fault_of("1,2,3").find("even count"), std::string::npos);
  EXPECT_NE(fault_of("m1,2,3").find("x,y,width,height,runs"), std::string::npos);
  EXPECT_NE(fault_of("m1,2,3,3,-1").find("0 and more pixels, found -1"), std::string::npos);
  EXPECT_EQ(to_text(mask_of("m1,2,3,3,0,4,2,9")), "m1,2,3,3,0,4,2,3")
      << "what lies beyond the box is dropped";
  EXPECT_NE(fault_of("m0,0,900000,900000,1").find("at most 32768 pixels a side"), std::string::npos);
  EXPECT_NE(fault_of("m1,x").find("whole numbers, found 'm1,x'"), std::string::npos);
}

TEST(VotRegion, MasksOfPicturesComeBackPixelByPixel) {
  for (int round = 0; round < 20; ++round) {
    const at::Tensor mask = at::rand({17, 23}).gt(0.5 + 0.02 * round);
    const VotRegion region = parse_vot_region(to_text(to_vot_mask(mask)));
    EXPECT_TRUE(to_mask(region, 17, 23).equal(mask)) << "round " << round;
    EXPECT_TRUE(to_mask(parse_trax_region(to_trax_text(region)), 17, 23).equal(mask)) << "round " << round;
  }
}

TEST(VotRegion, OverlapsOfMasksAgreeWithCounting) {
  for (int round = 0; round < 20; ++round) {
    const at::Tensor a = at::rand({12, 15}).gt(0.6), b = at::rand({12, 15}).gt(0.4),
                     void_mask = at::rand({12, 15}).gt(0.7);
    const double both = a.logical_and(b).logical_and(void_mask.logical_not()).sum().item<double>();
    const double either = a.logical_or(b).logical_and(void_mask.logical_not()).sum().item<double>();
    EXPECT_DOUBLE_EQ(overlap(to_vot_mask(a), to_vot_mask(b), std::pair(15, 12), to_vot_mask(void_mask)),
                     both / either);
  }
}

TEST(VotRegion, MasksMayReachBeyondThePicture) {
  const VotRegion outside = parse_vot_region("m-3,-2,6,4,0,24");
  EXPECT_EQ(to_mask(outside, 10, 10).sum().item<int64_t>(), 3 * 2);
  EXPECT_DOUBLE_EQ(overlap(outside, parse_vot_region("m0,0,3,2,0,6"), std::pair(10, 10)), 1.0);
}

}  // namespace
}  // namespace hqtrack
