#include "io/image_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "io/mask_reader.h"
#include "tests/io/make_media.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;

class ImageFolderTest : public ::testing::Test {
 protected:
  fs::path file(const std::string& name) const { return folder_.path() / name; }
  std::string url() const { return folder_.path().string(); }

  /// A picture of one colour.
  void make(const std::string& name, uint8_t shade, int width = 20, int height = 12) {
    const bool is_jpeg = name.ends_with(".jpg");
    make_picture(file(name),
                 is_jpeg                  ? AV_PIX_FMT_YUVJ420P
                 : name.ends_with(".bmp") ? AV_PIX_FMT_BGR24
                                          : AV_PIX_FMT_RGB24,
                 width, height, [&](AVFrame& frame) {
                   if (is_jpeg) return paint_samples({shade, 128, 128})(frame, 0);
                   for (int y = 0; y < height; ++y)
                     std::fill_n(frame.data[0] + y * frame.linesize[0], 3 * width, shade);
                 });
  }

  /// First byte of each frame.
  std::vector<int> shades(const std::string& input, const SourceConfig& config = {}) {
    std::vector<int> found;
    const auto source = open_source(input, config);
    while (const auto frame = source->read()) found.push_back(frame->image.const_data_ptr<uint8_t>()[0]);
    return found;
  }

  std::string error_of(const std::string& input, const SourceConfig& config = {}) {
    try {
      shades(input, config);
    } catch (const MediaError& error) {
      return error.what();
    }
    return "";
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(ImageFolderTest, TakesPicturesInNaturalOrder) {
  make("frame10.png", 10);
  make("frame2.png", 2);
  make("frame1.png", 1);
  make("frame03.png", 3);
  std::ofstream(file("notes.txt")) << "no picture";
  EXPECT_EQ(shades(url()), (std::vector<int>{1, 2, 3, 10}));
}

TEST_F(ImageFolderTest, ReadsEveryKindOfPicture) {
  make("1.png", 50);
  make("2.bmp", 60);
  make("3.tif", 70);
  make("4.jpg", 80);
  EXPECT_EQ(shades(url()), (std::vector<int>{50, 60, 70, 80}));
}

TEST_F(ImageFolderTest, TakesNumberPatterns) {
  for (const int i : {0, 1, 2, 12}) {
    char name[16];
    std::snprintf(name, sizeof(name), "%05d.png", i);
    make(name, static_cast<uint8_t>(i + 1));
  }
  make("x00003.png", 99);
  make("0004.png", 98);
  EXPECT_EQ(shades((file("%05d.png")).string()), (std::vector<int>{1, 2, 3, 13}));
}

TEST_F(ImageFolderTest, TakesStarPatterns) {
  make("left1.png", 1);
  make("left2.png", 2);
  make("right1.png", 3);
  EXPECT_EQ(shades(file("left*.png").string()), (std::vector<int>{1, 2}));
  EXPECT_NE(error_of(file("up*.png").string()).find("no file matches"), std::string::npos);
}

TEST_F(ImageFolderTest, TimesFollowFromTheRate) {
  for (int i = 0; i < 6; ++i) make(std::to_string(i) + ".png", static_cast<uint8_t>(i));
  SourceConfig config;
  config.image_rate = 10;
  config.start_us = 150000;
  config.duration_us = 300000;
  const auto source = open_source(url(), config);
  EXPECT_EQ(source->info().num_frames, 3);
  EXPECT_EQ(source->info().format, "images");
  for (int i = 2; i < 5; ++i) {
    const auto frame = source->read();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->index, i - 2);
    EXPECT_EQ(frame->pts_us, i * 100000);
    EXPECT_EQ(frame->image.const_data_ptr<uint8_t>()[0], i);
  }
  EXPECT_FALSE(source->read());
}

TEST_F(ImageFolderTest, NamesThePictureOfAnotherSize) {
  make("1.png", 1);
  make("2.png", 2, 22, 12);
  const std::string error = error_of(url());
  EXPECT_TRUE(error.starts_with(file("2.png").string())) << error;
  EXPECT_NE(error.find("expected 20x12 pixels as in 1.png, found 22x12"), std::string::npos) << error;
}

TEST_F(ImageFolderTest, NamesADamagedPicture) {
  for (const char* name : {"2.png", "2.jpg"}) {
    make("1.png", 1);
    make(name, 2, 200, 120);
    make("1.png", 1, 200, 120);
    truncate_to(file(name), 0.5);
    const std::string error = error_of(url());
    EXPECT_TRUE(error.starts_with(file(name).string() + ": damaged")) << error;
    fs::remove(file(name));
  }
}

TEST_F(ImageFolderTest, ASinglePictureIsAVideoOfOneFrame) {
  make("1.png", 7);
  make("2.png", 8);
  EXPECT_EQ(shades(file("1.png").string()), (std::vector<int>{7}));
}

}  // namespace
}  // namespace hqtrack::testing
