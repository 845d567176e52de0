#include <ATen/ops/arange.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "core/error.h"
#include "io/davis_palette.h"
#include "io/mask_reader.h"
#include "io/outputs.h"
#include "tests/io/make_media.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;
constexpr int kWidth = 37, kHeight = 21;

using Paint = std::function<void(uint8_t* pixel, int index)>;

class MaskTest : public ::testing::Test {
 protected:
  fs::path file(const std::string& name) const { return folder_.path() / name; }

  /// A picture whose pixels are painted one by one, row by row.
  fs::path made(const std::string& name, AVPixelFormat format, int bytes, const Paint& paint) {
    make_picture(file(name), format, kWidth, kHeight, [&](AVFrame& frame) {
      for (int i = 0; i < kWidth * kHeight; ++i) {
        paint(frame.data[0] + i / kWidth * frame.linesize[0] + i % kWidth * bytes, i);
      }
    });
    return file(name);
  }

  static int id_at(const at::Tensor& mask, int index) { return mask.const_data_ptr<uint8_t>()[index]; }

  std::string error_of(const fs::path& path) {
    try {
      read_label_mask(path);
    } catch (const MediaError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with(path.string() + ": ")) << error.what();
      return error.what();
    }
    return "";
  }

 private:
  TemporaryFolder folder_;
};

TEST(DavisPalette, HasThePublishedColours) {
  EXPECT_EQ(davis_palette()[0], (Rgb{0, 0, 0}));
  EXPECT_EQ(davis_palette()[1], (Rgb{128, 0, 0}));
  EXPECT_EQ(davis_palette()[2], (Rgb{0, 128, 0}));
  EXPECT_EQ(davis_palette()[4], (Rgb{0, 0, 128}));
  EXPECT_EQ(davis_palette()[8], (Rgb{64, 0, 0}));
  EXPECT_EQ(davis_palette()[255], (Rgb{224, 224, 192}));
  for (int id = 0; id < 256; ++id) EXPECT_EQ(davis_id_of(davis_palette()[id]), id);
  EXPECT_FALSE(davis_id_of({1, 2, 3}));
}

TEST_F(MaskTest, WrittenMasksKeepAllIds) {
  const at::Tensor mask = at::arange(0, 256 * 3, at::kLong).remainder(256).to(at::kByte).reshape({16, 48});
  write_label_mask(file("m.png"), mask);
  EXPECT_TRUE(read_label_mask(file("m.png")).equal(mask));
  // Read as a picture, the same file shows the palette.
  const at::Tensor image = read_image(file("m.png"));
  const uint8_t* pixel = image.const_data_ptr<uint8_t>() + 3 * 200;
  EXPECT_EQ((Rgb{pixel[0], pixel[1], pixel[2]}), davis_palette()[200]);
}

TEST_F(MaskTest, WrittenFilesAreOfPalettePngs) {
  write_label_mask(file("m.png"), at::zeros({5, 7}, at::kByte));
  std::ifstream stream(file("m.png"), std::ios::binary);
  std::string header(26, '\0');
  stream.read(header.data(), 26);
  EXPECT_EQ(header[24], 8);  // bits
  EXPECT_EQ(header[25], 3);  // colour type: palette
  EXPECT_FALSE(fs::exists(file("m.part.png")));
}

TEST_F(MaskTest, GreyValuesAreIds) {
  const auto path = made("grey.png", AV_PIX_FMT_GRAY8, 1, [](uint8_t* pixel, int i) {
    *pixel = i % 3 == 0 ? 0 : i % 3 == 1 ? 7 : 255;
  });
  const at::Tensor mask = read_label_mask(path);
  EXPECT_EQ(id_at(mask, 0), 0);
  EXPECT_EQ(id_at(mask, 1), 7);
  EXPECT_EQ(id_at(mask, 2), 255);
}

TEST_F(MaskTest, ZeroAnd255AreABinaryMask) {
  const auto binary = [](uint8_t* pixel, int i) { *pixel = i % 4 == 1 ? 255 : 0; };
  const at::Tensor mask = read_label_mask(made("b.png", AV_PIX_FMT_GRAY8, 1, binary));
  EXPECT_EQ(id_at(mask, 0), 0);
  EXPECT_EQ(id_at(mask, 1), 1);
  EXPECT_EQ(mask.max().item<int>(), 1);
}

TEST_F(MaskTest, OneBitPicturesAreBinaryMasks) {
  make_picture(file("bit.png"), AV_PIX_FMT_MONOBLACK, kWidth, kHeight, [](AVFrame& frame) {
    for (int y = 0; y < kHeight; ++y)
      std::fill_n(frame.data[0] + y * frame.linesize[0], (kWidth + 7) / 8, y < 5 ? 0xff : 0);
  });
  const at::Tensor mask = read_label_mask(file("bit.png"));
  EXPECT_EQ(mask.sum().item<int>(), 5 * kWidth);
  EXPECT_EQ(mask.max().item<int>(), 1);
}

TEST_F(MaskTest, GreyRgbAndRgbaAreReadByValueWithoutAlpha) {
  const at::Tensor rgb = read_label_mask(
      made("rgb.png", AV_PIX_FMT_RGB24, 3, [](uint8_t* p, int i) { p[0] = p[1] = p[2] = i % 5; }));
  const at::Tensor rgba = read_label_mask(made("rgba.png", AV_PIX_FMT_RGBA, 4, [](uint8_t* p, int i) {
    p[0] = p[1] = p[2] = i % 5;
    p[3] = static_cast<uint8_t>(i);
  }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(id_at(rgb, i), i % 5);
  EXPECT_TRUE(rgb.equal(rgba));
}

TEST_F(MaskTest, PaletteColoursAreReadByColour) {
  const auto path = made("colour.png", AV_PIX_FMT_RGB24, 3, [](uint8_t* p, int i) {
    const Rgb colour = davis_palette()[i % 20];
    p[0] = colour.r, p[1] = colour.g, p[2] = colour.b;
  });
  const at::Tensor mask = read_label_mask(path);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(id_at(mask, i), i % 20);
}

TEST_F(MaskTest, OtherColoursAreRefused) {
  const auto path = made("photo.png", AV_PIX_FMT_RGB24, 3,
                         [](uint8_t* p, int i) { p[0] = i == 40 ? 9 : 0, p[1] = p[2] = 0; });
  EXPECT_NE(error_of(path).find("found colour (9, 0, 0) at x 3, y 1"), std::string::npos) << error_of(path);
}

TEST_F(MaskTest, SixteenBitsAreRefused) {
  for (const auto& [format, bytes] : {std::pair{AV_PIX_FMT_GRAY16BE, 2}, std::pair{AV_PIX_FMT_RGB48BE, 6}}) {
    const auto path =
        made("deep.png", format, bytes, [bytes = bytes](uint8_t* p, int i) { std::fill_n(p, bytes, i % 2); });
    EXPECT_NE(error_of(path).find("found 16 bits a channel"), std::string::npos) << error_of(path);
  }
}

TEST_F(MaskTest, JpegsAreRefused) {
  const auto path = made("mask.jpg", AV_PIX_FMT_YUVJ444P, 1, [](uint8_t* p, int i) { *p = i % 2 * 255; });
  EXPECT_NE(error_of(path).find("JPEG"), std::string::npos);
}

TEST_F(MaskTest, DamagedAndMissingFilesAreNamed) {
  const at::Tensor noise = at::randint(0, 256, {kHeight, kWidth}, at::kByte);
  write_label_mask(file("cut.png"), noise);
  truncate_to(file("cut.png"), 0.8);
  EXPECT_NE(error_of(file("cut.png")).find("damaged or truncated"), std::string::npos);
  write_label_mask(file("noise.png"), noise);
  damage_at(file("noise.png"), 0.9, 20);
  EXPECT_NE(error_of(file("noise.png")).find("damaged or truncated"), std::string::npos);
  EXPECT_NE(error_of(file("none.png")).find("no such file"), std::string::npos);
  std::ofstream(file("text.png")) << "no picture at all";
  EXPECT_NE(error_of(file("text.png")).find("another kind of file"), std::string::npos);
}

TEST_F(MaskTest, PicturesAreWrittenWithoutLoss) {
  const at::Tensor image = at::randint(0, 256, {kHeight, kWidth, 3}, at::kByte);
  write_image(file("p.png"), image);
  EXPECT_TRUE(read_image(file("p.png")).equal(image));
}

TEST_F(MaskTest, UnwritableFoldersAreNamed) {
  std::ofstream(file("plain")) << "a file";
  EXPECT_THROW(write_label_mask(file("plain") / "m.png", at::zeros({4, 4}, at::kByte)), OutputError);
  EXPECT_THROW(open_mask_sink(file("plain") / "masks"), OutputError);
}

TEST_F(MaskTest, TheSinkRemovesOldMasksAndNothingElse) {
  const fs::path folder = file("old");
  fs::create_directory(folder);
  write_label_mask(folder / "00007.png", at::zeros({4, 6}, at::kByte));
  write_label_mask(folder / "mine.png", at::zeros({4, 6}, at::kByte));
  write_image(folder / "00008.png", at::zeros({4, 6, 3}, at::kByte));  // a picture, no mask
  std::ofstream(folder / "00009.png") << "short";
  const auto sink = open_mask_sink(folder);
  EXPECT_TRUE(fs::exists(folder / "00007.png")) << "before there is anything new";
  TrackedFrame tracked;
  tracked.label_mask = at::zeros({4, 6}, at::kByte);
  sink->write(tracked);
  sink->finish();
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder)) left.insert(entry.path().filename().string());
  EXPECT_EQ(left, (std::set<std::string>{"00000.png", "00008.png", "00009.png", "mine.png"}));
}

TEST_F(MaskTest, TheSinkNumbersItsFiles) {
  const auto sink = open_mask_sink(file("deep") / "masks");
  for (const int index : {0, 1, 123456}) {
    TrackedFrame tracked;
    tracked.frame.index = index;
    tracked.label_mask = at::zeros({4, 6}, at::kByte).fill_(index % 200);
    sink->write(tracked);
  }
  sink->finish();
  for (const char* name : {"00000.png", "00001.png", "123456.png"})
    EXPECT_TRUE(fs::exists(file("deep") / "masks" / name)) << name;
  EXPECT_EQ(id_at(read_label_mask(file("deep") / "masks" / "123456.png"), 0), 123456 % 200);
}

}  // namespace
}  // namespace hqtrack::testing
