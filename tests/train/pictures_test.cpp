#include "train/pictures.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "core/error.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "train/picture_cache.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using testing::drawn_cut_out;
using testing::drawn_photograph;
using testing::jpeg_bytes;
using testing::png_bytes;
using testing::write_bytes;

bool same(const std::vector<cv::Mat>& a, const std::vector<cv::Mat>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size() || a[i].type() != b[i].type() || cv::norm(a[i], b[i], cv::NORM_INF) != 0)
      return false;
  }
  return true;
}

/// A container like Qt's: other bytes, and an entry of four bytes length and its contents.
std::vector<uint8_t> container(const std::vector<uint8_t>& entry, uint32_t length) {
  std::vector<uint8_t> bytes = {'q', 'r', 'e', 's', 0, 0, 0, 1, 0xff, 0xd8, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<uint8_t>(length >> shift));
  bytes.insert(bytes.end(), entry.begin(), entry.end());
  bytes.insert(bytes.end(), 64, 0);
  return bytes;
}

std::string error_of(const fs::path& folder) {
  try {
    load_pictures(folder);
  } catch (const MediaError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Pictures, SortsAFolderByWhatThePicturesAre) {
  const testing::TemporaryFolder folder;
  write_bytes(folder.path() / "a/photo.jpg", jpeg_bytes(drawn_photograph(400, 300, 1)));
  write_bytes(folder.path() / "a/photo.png", png_bytes(drawn_photograph(300, 300, 2)));
  write_bytes(folder.path() / "stamps/animal.png", png_bytes(drawn_cut_out(300, 200, 1)));
  write_bytes(folder.path() / "openclipart/thing.png", png_bytes(drawn_cut_out(100, 100, 2)));
  write_bytes(folder.path() / "notes.txt", {'x'});
  const Pictures pictures = load_pictures(folder.path());
  ASSERT_EQ(pictures.photographs.size(), 2u);
  ASSERT_EQ(pictures.stamps.size(), 1u);
  ASSERT_EQ(pictures.drawings.size(), 1u);
  EXPECT_EQ(pictures.photographs[0].type(), CV_8UC3);
  // 300 x 200 with an ellipse of 80 %: cropped to 241 x 161, then its longest side made 224.
  EXPECT_EQ(pictures.stamps[0].cols, 224);
  EXPECT_NEAR(pictures.stamps[0].rows, 161 * 224 / 241, 1);
  EXPECT_EQ(pictures.stamps[0].type(), CV_8UC4);
  EXPECT_EQ(pictures.drawings[0].cols, 81);
}

TEST(Pictures, LeavesOutWhatMakesNoGoodPicture) {
  const testing::TemporaryFolder folder;
  write_bytes(folder.path() / "good.png", png_bytes(drawn_photograph(300, 300, 1)));
  write_bytes(folder.path() / "larger_copy.jpg", jpeg_bytes(drawn_photograph(300, 300, 1)));
  write_bytes(folder.path() / "plain.png", png_bytes(cv::Mat(300, 300, CV_8UC3, cv::Scalar(90, 120, 30))));
  write_bytes(folder.path() / "small.png", png_bytes(drawn_photograph(150, 150, 2)));
  write_bytes(folder.path() / "symbols/letter.png", png_bytes(drawn_cut_out(200, 200, 3)));
  write_bytes(folder.path() / "thin.png", png_bytes(drawn_cut_out(400, 40, 4)));
  write_bytes(folder.path() / "tiny.png", png_bytes(drawn_cut_out(24, 24, 5)));
  write_bytes(folder.path() / "empty.png", png_bytes(cv::Mat::zeros(200, 200, CV_8UC4)));
  const Pictures pictures = load_pictures(folder.path());
  EXPECT_EQ(pictures.photographs.size(), 1u);
  EXPECT_EQ(pictures.stamps.size(), 0u);
}

TEST(Pictures, TakesOneSizeOfAWallpaper) {
  const testing::TemporaryFolder folder;
  write_bytes(folder.path() / "w/400x300.png", png_bytes(drawn_photograph(400, 300, 1)));
  write_bytes(folder.path() / "w/500x400.png", png_bytes(drawn_photograph(500, 400, 2)));
  EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 1u);
}

TEST(Pictures, FindsPhotographsInsideContainers) {
  const testing::TemporaryFolder folder;
  const auto jpeg = jpeg_bytes(drawn_photograph(400, 300, 1));
  ASSERT_GT(jpeg.size(), 8000u);
  write_bytes(folder.path() / "images.rcc", container(jpeg, static_cast<uint32_t>(jpeg.size())));
  EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 1u);
}

TEST(Pictures, PassesOverContainersWhoseLengthsLie) {
  const testing::TemporaryFolder folder;
  const auto jpeg = jpeg_bytes(drawn_photograph(400, 300, 1));
  write_bytes(folder.path() / "cut.rcc", container({jpeg.begin(), jpeg.begin() + 9000}, 9000));
  write_bytes(folder.path() / "long.rcc", container(jpeg, 0xffffffffu));
  write_bytes(folder.path() / "good.png", png_bytes(drawn_photograph(300, 300, 2)));
  EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 1u);
}

TEST(Pictures, PassesOverDamagedFiles) {
  const testing::TemporaryFolder folder;
  auto png = png_bytes(drawn_photograph(300, 300, 2));
  png.resize(png.size() / 2);
  write_bytes(folder.path() / "cut.png", png);
  write_bytes(folder.path() / "lie.jpg", {'n', 'o', ' ', 'p', 'i', 'c', 't', 'u', 'r', 'e'});
  write_bytes(folder.path() / "good.png", png_bytes(drawn_photograph(300, 300, 1)));
  EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 1u);
}

TEST(Pictures, CacheGivesTheSamePicturesAndNoticesNewFiles) {
  const testing::TemporaryFolder folder;
  write_bytes(folder.path() / "photo.png", png_bytes(drawn_photograph(300, 300, 1)));
  write_bytes(folder.path() / "cut.png", png_bytes(drawn_cut_out(200, 200, 1)));
  const Pictures first = load_pictures(folder.path());
  ASSERT_TRUE(fs::exists(folder.path() / "hqtrack_pictures.cache"));
  const Pictures again = load_pictures(folder.path());
  EXPECT_TRUE(again.storage) << "not read from the cache";
  EXPECT_TRUE(same(first.photographs, again.photographs));
  EXPECT_TRUE(same(first.stamps, again.stamps));
  write_bytes(folder.path() / "another.png", png_bytes(drawn_photograph(300, 300, 2)));
  EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 2u);
}

TEST(Pictures, DamagedCacheIsMadeAnew) {
  const testing::TemporaryFolder folder;
  const fs::path cache = folder.path() / "hqtrack_pictures.cache";
  write_bytes(folder.path() / "photo.png", png_bytes(drawn_photograph(300, 300, 1)));
  load_pictures(folder.path());
  const auto whole = testing::read_bytes(cache);
  for (const size_t size : {size_t{0}, size_t{10}, whole.size() - 1}) {
    write_bytes(cache, {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)});
    EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 1u) << size << " bytes";
    EXPECT_EQ(testing::read_bytes(cache), whole);
  }
  for (const size_t at : {size_t{24}, size_t{32}, size_t{40}, size_t{44}, size_t{48},
                          size_t{52}}) {  // counts, offset, sizes, kind
    auto lie = whole;
    for (size_t i = 0; i < 4; ++i) lie[at + i] = 0xff;
    write_bytes(cache, lie);
    EXPECT_EQ(load_pictures(folder.path()).photographs.size(), 1u) << "byte " << at;
  }
}

TEST(Pictures, SaysWhatIsWrongWithAFolder) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path().string();
  EXPECT_EQ(error_of(folder.path()),
            path + ": expected photographs of at least 200 px, found none in 0 files");
  EXPECT_EQ(error_of(folder.path() / "no"), path + "/no: expected a folder of pictures, found nothing");
  write_bytes(folder.path() / "file", {'x'});
  EXPECT_EQ(error_of(folder.path() / "file"), path + "/file: expected a folder of pictures, found a file");
}

}  // namespace
}  // namespace hqtrack
