#include "train/jpeg_artifacts.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <opencv2/core.hpp>

#include "tests/train/drawn_pictures.h"

namespace hqtrack {
namespace {

double error_of(const cv::Mat& picture, int quality) {
  return cv::norm(picture, jpeg_artifacts(picture, quality), cv::NORM_L2);
}

TEST(JpegArtifacts, LowerQualityLosesMore) {
  const cv::Mat picture = testing::drawn_photograph(61, 47, 1);  // no multiples of 8 or 16
  EXPECT_LT(error_of(picture, 90), error_of(picture, 60));
  EXPECT_LT(error_of(picture, 60), error_of(picture, 20));
  EXPECT_EQ(jpeg_artifacts(picture, 50).size(), picture.size());
}

// The mean of a block is a wave of its own, 8 times the grey value; at quality 50 the table holds as it is
// and its steps are 16: two grey levels.
TEST(JpegArtifacts, GreyLevelsComeInStepsOfTwo) {
  for (int grey = 100; grey < 150; ++grey) {
    const cv::Mat picture(16, 16, CV_8UC3, cv::Scalar::all(grey));
    const int seen = jpeg_artifacts(picture, 50).at<cv::Vec3b>(7, 9)[1];
    EXPECT_EQ(seen % 2, 0) << grey;
    EXPECT_LE(std::abs(seen - grey), grey % 2) << grey;
  }
}

TEST(JpegArtifacts, BestQualityKeepsGreyPicturesToRounding) {
  cv::Mat picture(32, 32, CV_8UC3);
  for (int i = 0; i < 32 * 32; ++i)
    picture.at<cv::Vec3b>(i) = cv::Vec3b::all(static_cast<uint8_t>(i * 37 % 256));
  EXPECT_LE(cv::norm(picture, jpeg_artifacts(picture, 100), cv::NORM_INF), 3);
}

}  // namespace
}  // namespace hqtrack
