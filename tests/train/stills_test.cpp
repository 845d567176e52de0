#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <opencv2/core.hpp>

#include "core/error.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "train/pair_stills.h"
#include "train/still_crop.h"
#include "train/synthetic_stills.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

bool same(const Still& a, const Still& b) {
  return a.num_objects == b.num_objects && a.image.equal(b.image) && a.labels.equal(b.labels);
}

int64_t most_pixels_of_an_object(const Still& still) {
  int64_t most = 0;
  for (int64_t object = 1; object <= still.num_objects; ++object)
    most = std::max(most, still.labels.eq(object).sum().item<int64_t>());
  return most;
}

SyntheticStillOptions small_options() { return {.size_px = 128, .max_objects = 3}; }

TEST(SyntheticStills, DependOnSeedAndNumberAlone) {
  const SyntheticStills one(testing::drawn_pictures(), small_options()),
      two(testing::drawn_pictures(), small_options());
  SyntheticStillOptions options = small_options();
  options.seed = 2;
  const SyntheticStills other(testing::drawn_pictures(), options);
  const Still later = one.example(5);
  EXPECT_TRUE(same(later, two.example(5)));
  EXPECT_FALSE(same(one.example(4), later));
  EXPECT_FALSE(same(other.example(5), later));
}

TEST(SyntheticStills, HaveTheirSizeAndShowAnObject) {
  const SyntheticStills stills(testing::drawn_pictures(), small_options());
  for (int64_t number = 0; number < 40; ++number) {
    const Still still = stills.example(number);
    EXPECT_EQ(std::max(still.image.size(0), still.image.size(1)), 128) << number;
    EXPECT_EQ(still.image.sizes().slice(0, 2), still.labels.sizes()) << number;
    EXPECT_LE(still.labels.max().item<int64_t>(), still.num_objects) << number;
    EXPECT_GE(most_pixels_of_an_object(still), kLeastObjectPixels) << number;
  }
}

TEST(SyntheticStills, NeedPhotographs) {
  Pictures pictures = testing::drawn_pictures();
  pictures.photographs.clear();
  EXPECT_THROW(SyntheticStills(pictures, small_options()), MediaError);
}

/// A folder in which pairs are written.
class Pairs : public ::testing::Test {
 protected:
  void write(const fs::path& image, const fs::path& mask, int mask_width = 120) {
    if (!image.empty()) {
      testing::write_bytes(folder_.path() / image,
                           testing::jpeg_bytes(testing::drawn_photograph(120, 90, 1)));
    }
    cv::Mat shown = cv::Mat::zeros(90, mask_width, CV_8UC3);
    shown(cv::Rect(20, 30, 50, 40)).setTo(cv::Scalar::all(255));
    shown(cv::Rect(75, 30, 5, 40)).setTo(cv::Scalar::all(128));  // not inside
    if (!mask.empty()) testing::write_bytes(folder_.path() / mask, testing::png_bytes(shown));
  }
  std::string error_of(const std::function<void()>& call) const {
    try {
      call();
    } catch (const MediaError& error) {
      return error.what();
    }
    return "no error";
  }
  testing::TemporaryFolder folder_;
};

TEST_F(Pairs, AreFoundInEveryLayoutOfHqSeg44k) {
  write("DIS5K/DIS-TR/im/a.jpg", "DIS5K/DIS-TR/gt/a.png");
  write("cascade_psp/fss_all/b.jpg", "cascade_psp/fss_all/b.png");
  write("thin_object_detection/ThinObject5K/images_train/c.jpg",
        "thin_object_detection/ThinObject5K/masks_train/c.png");
  write("thin_object_detection/COIFT/images/d.JPEG", "thin_object_detection/COIFT/masks/d.png");
  write("thin_object_detection/HRSOD/images/e.jpg", "thin_object_detection/HRSOD/masks_max255/e.png");
  write("lonely/f.jpg", "");
  write("", "lonely/g.png");
  std::string found;
  for (const PicturePair& pair : find_pairs(folder_.path())) {
    EXPECT_EQ(pair.image.stem(), pair.mask.stem());
    EXPECT_NE(pair.image, pair.mask);
    found += pair.image.stem().string();
  }
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, "abcde");
}

TEST_F(Pairs, AreReadAsTheyAreOrAugmented) {
  write("a.jpg", "a.png");
  const PairStills plain(find_pairs(folder_.path()), {.is_augmented = false});
  const Still still = plain.example(0);
  EXPECT_EQ(still.image.sizes(), (std::vector<int64_t>{90, 120, 3}));
  EXPECT_EQ(still.labels.sum().item<int64_t>(), 50 * 40);
  const PairStills augmented(find_pairs(folder_.path()), {.size_px = 96});
  for (int64_t number = 0; number < 20; ++number) {
    const Still cut = augmented.example(number);
    EXPECT_EQ(std::max(cut.image.size(0), cut.image.size(1)), 96);
    EXPECT_GE(most_pixels_of_an_object(cut), kLeastObjectPixels);
    EXPECT_TRUE(same(cut, augmented.example(number)));
  }
}

TEST_F(Pairs, SayWhatIsWrong) {
  const std::string root = folder_.path().string();
  EXPECT_EQ(error_of([&] { find_pairs(folder_.path() / "none"); }),
            root + "/none: expected a folder of pairs, found nothing");
  EXPECT_NE(error_of([&] { find_pairs(root); }).find("found none"), std::string::npos);
  write("a.jpg", "a.png", /*mask_width=*/100);
  const PairStills other_size(find_pairs(root), {});
  EXPECT_EQ(error_of([&] { other_size.example(0); }),
            root + "/a.png: expected a mask of 120x90 as its picture, found 100x90");
  testing::write_bytes(folder_.path() / "a.png", {'x', 'y'});
  EXPECT_NE(error_of([&] { other_size.example(0); }).find(root + "/a.png"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack
