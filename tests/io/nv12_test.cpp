#include "io/nv12.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>

#include "io/rgb_converter.h"
#include "tests/io/nv12_picture.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

TEST(Nv12, GivesWhatTheScalerGives) {
  for (const AVColorSpace matrix : {AVCOL_SPC_BT709, AVCOL_SPC_SMPTE170M, AVCOL_SPC_BT2020_NCL}) {
    for (const AVColorRange range : {AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG}) {
      for (const AVChromaLocation location : {AVCHROMA_LOC_LEFT, AVCHROMA_LOC_CENTER, AVCHROMA_LOC_TOPLEFT}) {
        for (const int bits : {8, 10}) {
          SCOPED_TRACE(::testing::Message() << "matrix " << matrix << ", range " << range << ", chroma "
                                            << location << ", " << bits << " bits");
          const DrawnNv12 drawn(64, 96, bits, matrix, range, location);
          const at::Tensor expected = RgbConverter("test").convert(*drawn.frame, {});
          EXPECT_TENSORS_CLOSE(rgb_of(drawn).to(at::kFloat), expected.to(at::kFloat), 0, 2);
        }
      }
    }
  }
}

TEST(Nv12, AnOddPictureLacksOnlyTheLastRowAndColumn) {
  DrawnNv12 drawn(64, 96, 8, AVCOL_SPC_BT709, AVCOL_RANGE_MPEG);
  const at::Tensor even = rgb_of(drawn);
  drawn.picture.height = 63;
  drawn.picture.width = 95;
  EXPECT_TRUE(rgb_of(drawn).equal(even.slice(0, 0, 63).slice(1, 0, 95)));
}

struct Colour {
  AVColorSpace matrix;
  AVColorRange range;
  std::array<int, 3> yuv, rgb;
};

// From the standards' own formulas.
TEST(Nv12, KnowsTheColoursOfTheStandards) {
  for (const Colour& colour : {Colour{AVCOL_SPC_BT709, AVCOL_RANGE_MPEG, {16, 128, 128}, {0, 0, 0}},
                               Colour{AVCOL_SPC_BT709, AVCOL_RANGE_MPEG, {235, 128, 128}, {255, 255, 255}},
                               Colour{AVCOL_SPC_BT709, AVCOL_RANGE_MPEG, {63, 102, 240}, {255, 0, 0}},
                               Colour{AVCOL_SPC_SMPTE170M, AVCOL_RANGE_MPEG, {82, 90, 240}, {255, 0, 0}},
                               Colour{AVCOL_SPC_BT2020_NCL, AVCOL_RANGE_MPEG, {74, 97, 240}, {255, 0, 0}},
                               Colour{AVCOL_SPC_BT709, AVCOL_RANGE_JPEG, {18, 255, 116}, {0, 0, 255}},
                               Colour{AVCOL_SPC_SMPTE170M, AVCOL_RANGE_JPEG, {150, 44, 21}, {0, 255, 0}}}) {
    for (const int bits : {8, 10}) {
      const DrawnNv12 drawn(2, 2, bits, colour.matrix, colour.range);
      for (int plane = 0; plane < 2; ++plane) {
        for (int y = 0; y < 2 - plane; ++y) {
          for (int i = 0; i < 2; ++i) {
            const int value = colour.yuv[static_cast<size_t>(plane == 0 ? 0 : 1 + i)];
            uint8_t* row = drawn.frame->data[plane] + y * drawn.frame->linesize[plane];
            if (bits == 8) {
              row[i] = static_cast<uint8_t>(value);
            } else {
              reinterpret_cast<uint16_t*>(row)[i] = static_cast<uint16_t>(value << 8);
            }
          }
        }
      }
      const at::Tensor expected = at::tensor({colour.rgb[0], colour.rgb[1], colour.rgb[2]}, at::kFloat);
      EXPECT_TENSORS_CLOSE(rgb_of(drawn).to(at::kFloat), expected.expand({2, 2, 3}), 0, 2);
    }
  }
}

}  // namespace
}  // namespace hqtrack::testing
