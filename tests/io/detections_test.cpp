#include "io/detections.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

class DetectionsTest : public ::testing::Test {
 protected:
  DetectionFile read(const std::string& text) const {
    std::ofstream(folder_.path() / "found", std::ios::binary) << text;
    return read_detections(folder_.path() / "found");
  }
  /// The message without the folder.
  std::string error_of(const std::string& text) const {
    try {
      read(text);
    } catch (const MediaError& e) {
      return std::string(e.what()).substr(folder_.path().string().size() + 1);
    }
    return "no error";
  }

 private:
  TemporaryFolder folder_;
};

void expect_box(const PromptBox& box, double x0, double y0, double x1, double y1) {
  EXPECT_EQ(box.x0, x0);
  EXPECT_EQ(box.y0, y0);
  EXPECT_EQ(box.x1, x1);
  EXPECT_EQ(box.y1, y1);
}

TEST_F(DetectionsTest, CocoResultsAreByFrame) {
  const DetectionFile file = read(R"([
    {"image_id": 3, "category_id": 18, "bbox": [10, 20.5, 30, 40], "score": 0.25, "segmentation": {"counts": "x"}},
    {"image_id": 0, "category_id": 1, "bbox": [-1, -2, 3, 4], "score": 0.75}])");
  ASSERT_EQ(file.detections.size(), 2U);
  EXPECT_EQ(file.frames(), (std::vector<int64_t>{0, 3}));
  EXPECT_FALSE(file.is_of_one_picture);
  const Detection& first = file.detections[0];
  EXPECT_EQ(first.frame_index, 3);
  EXPECT_EQ(first.category_id, 18);
  EXPECT_EQ(first.score, 0.25);
  expect_box(first.box, 10, 20.5, 40, 60.5);
  expect_box(file.detections[1].box, -1, -2, 2, 2);
  EXPECT_TRUE(first.source.ends_with("found: [0]")) << first.source;
}

TEST_F(DetectionsTest, ALonePictureOfResultsIsFrameZero) {
  const DetectionFile file = read(R"([{"image_id": 397133, "bbox": [1, 2, 3, 4]}])");
  EXPECT_TRUE(file.is_of_one_picture);
  EXPECT_EQ(file.frames(), std::vector<int64_t>{0});
  EXPECT_EQ(file.detections[0].score, 1.0);
}

TEST_F(DetectionsTest, PicturesOfADataSetAreFramesInTheOrderOfTheirIds) {
  const DetectionFile file = read(R"({
    "info": {"year": 2017},
    "images": [{"id": 30, "file_name": "c.jpg", "width": 64, "height": 48}, {"id": 10, "file_name": "a.jpg"}],
    "annotations": [{"id": 5, "image_id": 30, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 0},
                    {"id": 6, "image_id": 30, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 1},
                    {"id": 7, "image_id": 10, "category_id": 9, "bbox": [0, 0, 9, 9.0]}],
    "categories": [{"id": 2, "name": "cup"}]})");
  ASSERT_EQ(file.pictures.size(), 2U);
  EXPECT_EQ(file.pictures[0].file_name, "a.jpg");
  EXPECT_EQ(file.pictures[1].width, 64);
  ASSERT_EQ(file.detections.size(), 2U);  // without the crowd
  EXPECT_EQ(file.detections[0].frame_index, 1);
  EXPECT_EQ(file.detections[0].annotation_id, 5);
  EXPECT_EQ(file.detections[0].name, "cup");
  EXPECT_EQ(file.detections[1].frame_index, 0);
  EXPECT_EQ(file.detections[1].name, "");
}

TEST_F(DetectionsTest, MotTextCountsFromOne) {
  const DetectionFile file = read("1, 7, 11, 21, 30, 40, 0.5, -1, -1, -1\r\n\n3,-1,1,1,2.5,2\n");
  ASSERT_EQ(file.detections.size(), 2U);
  EXPECT_EQ(file.detections[0].frame_index, 0);
  EXPECT_EQ(file.detections[0].object_id, 7);
  EXPECT_EQ(file.detections[0].score, 0.5);
  expect_box(file.detections[0].box, 10, 20, 40, 60);
  EXPECT_EQ(file.detections[1].frame_index, 2);
  EXPECT_EQ(file.detections[1].object_id, std::nullopt);
  EXPECT_EQ(file.detections[1].score, 1.0);
  EXPECT_TRUE(file.detections[1].source.ends_with("found:3")) << file.detections[1].source;
}

TEST_F(DetectionsTest, ErrorsNameLineOrEntry) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "found: expected at least one detection"},
      {"[]", "found: expected at least one detection"},
      {"[{\"image_id\": 0,\n \"bbox\": [1, 2, NaN, 4]}]", "found:2: expected JSON, found an error at byte"},
      {"[{\"image_id\": 0,\n", "found:2: expected JSON, found the end of the file"},
      {R"([{"image_id": 0, "bbox": [1, 2, 3, 4]}] more)", "found:1: expected JSON"},
      {R"([{"image_id": 0, "bbox": [1, 2, 3, 1e999]}])", "expected JSON, found a number that is too large"},
      {R"([{"image_id": 0, "bbox": [1, 2, 3]}])",
       "found: [0].bbox: expected [x, y, width, height], found a list of 3"},
      {R"([{"image_id": 0, "bbox": [1, 2, 3, "4"]}])", "found: [0].bbox"},
      {R"([{"image_id": 99999999999999999999, "bbox": [1, 2, 3, 4]}])",
       "found: [0].image_id: expected a whole number"},
      {R"([{"image_id": -1, "bbox": [1, 2, 3, 4]}])", "found: [0].image_id"},
      {R"([{"image_id": "a", "bbox": [1, 2, 3, 4]}])", "found: [0].image_id"},
      {R"([{"bbox": [1, 2, 3, 4]}])", "found: [0].image_id: expected a whole number"},
      {R"([{"image_id": 0, "bbox": [1, 2, 3, 4], "score": "high"}])", "found: [0].score: expected a number"},
      {"[7]", "found: [0]: expected an object"},
      {"{}", "found: images: expected a list"},
      {R"({"images": [{"id": 1}], "annotations": []})", "found: images[0].file_name"},
      {R"({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "annotations": []})",
       "found: images: expected ids of their own, found 1 twice"},
      {R"({"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 2, "bbox": [1, 2, 3, 4]}]})",
       "found: annotations[0].image_id: expected an id of images, found 2"},
      {"1,1,1,1,5,5\nhello", "found:2: expected COCO JSON, or MOT text"},
      {"1,1,1,1,5", "found:1: expected COCO JSON, or MOT text"},
      {"1,1,1,1,5,,7", "found:1: expected COCO JSON, or MOT text"},
      {"1,1,nan,1,5,5", "found:1: expected COCO JSON, or MOT text"},
      {"0,1,1,1,5,5", "found:1: expected frame, a whole number from 1"},
      {"1.5,1,1,1,5,5", "found:1: expected frame"},
      {"1,1,1,1,5,5\n1,1,2,2,5,5", "found:2: expected an id once in a frame, found 1 twice in frame 1"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_NE(error_of(text).find(expected), std::string::npos) << text << "\n" << error_of(text);
  }
  EXPECT_THROW(read_detections("/nowhere/found.json"), MediaError);
  EXPECT_THROW(read_detections("/"), MediaError);
}

}  // namespace
}  // namespace hqtrack::testing
