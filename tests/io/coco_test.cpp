#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "io/coco_rle.h"
#include "io/coco_writer.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

/// A mask of a single column.
at::Tensor column(const std::string& pixels) {
  at::Tensor mask = at::zeros({static_cast<int64_t>(pixels.size()), 1}, at::kBool);
  for (size_t i = 0; i < pixels.size(); ++i) mask[static_cast<int64_t>(i)][0] = pixels[i] == '1';
  return mask;
}

/// The definition, read backwards.
at::Tensor decode(const std::string& text, int64_t height, int64_t width) {
  std::vector<int64_t> runs;
  for (size_t at = 0; at < text.size();) {
    int64_t value = 0;
    int shift = 0;
    bool has_more = true;
    while (has_more) {
      const int64_t bits = text.at(at++) - 48;
      value |= (bits & 31) << shift;
      shift += 5;
      has_more = (bits & 32) != 0;
      if (!has_more && (bits & 16) != 0) value -= int64_t{1} << shift;
    }
    if (runs.size() > 2) value += runs[runs.size() - 2];
    runs.push_back(value);
  }
  at::Tensor columns = at::zeros({width * height}, at::kBool);
  int64_t begin = 0;
  for (size_t i = 0; i < runs.size(); begin += runs[i++]) {
    EXPECT_GE(runs[i], i == 0 ? 0 : 1) << text;
    if (i % 2 == 1) columns.slice(0, begin, begin + runs[i]).fill_(true);
  }
  EXPECT_EQ(begin, height * width) << text;
  return columns.view({width, height}).t();
}

TEST(CocoRle, WritesRunsAsTheDefinitionSays) {
  EXPECT_EQ(encode_coco_rle(at::zeros({2, 3}, at::kBool)), "6");
  EXPECT_EQ(encode_coco_rle(at::zeros({2, 2}, at::kBool).fill_(true)), "04");  // no background first
  EXPECT_EQ(encode_coco_rle(column("00110")), "221");
  EXPECT_EQ(encode_coco_rle(column("01011")), "1111");      // 1 1 1 2: the fourth as 2 - 1
  EXPECT_EQ(encode_coco_rle(column("01110100")), "131N1");  // 1 3 1 1 2: -2 is 11110, that is 48 + 30
  EXPECT_EQ(encode_coco_rle(at::zeros({10, 10}, at::kBool)), "T3");  // 100 = 3 * 32 + 4: 48 + 32 + 4, 48 + 3
  EXPECT_EQ(encode_coco_rle(at::zeros({4, 4}, at::kBool)), "`0");    // 16 alone would be read as -16
}

TEST(CocoRle, GoesDownTheColumns) {
  at::Tensor mask = at::zeros({3, 3}, at::kBool);
  mask[2][0] = mask[0][1] = true;
  EXPECT_EQ(encode_coco_rle(mask), "225");
  EXPECT_EQ(encode_coco_rle(mask.t()), "1140N");  // 1 1 4 1 2
}

TEST(CocoRle, IsReadBack) {
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 70}, {70, 1}, {37, 61}, {300, 200}}) {
    for (const double share : {0.0, 0.01, 0.5, 0.99, 1.0}) {
      const at::Tensor mask = at::rand({height, width}).lt(share);
      EXPECT_TRUE(decode(encode_coco_rle(mask), height, width).equal(mask))
          << height << " x " << width << ", " << share;
    }
  }
}

TEST(CocoWriter, DescribesAMask) {
  at::Tensor mask = at::zeros({6, 8}, at::kBool);
  mask.slice(0, 1, 4).slice(1, 2, 7).fill_(true);
  const CocoAnnotation object = describe_mask(mask);
  EXPECT_EQ(object.area_px, 15);
  EXPECT_EQ(object.x, 2);
  EXPECT_EQ(object.y, 1);
  EXPECT_EQ(object.width, 5);
  EXPECT_EQ(object.height, 3);
  EXPECT_TRUE(decode(object.counts, 6, 8).equal(mask));
}

TEST(CocoWriter, WritesADataSet) {
  const TemporaryFolder folder;
  CocoFile contents;
  contents.images.push_back({.id = 40, .file_name = "a \"b\"\xff.jpg", .height = 6, .width = 8});
  contents.categories = {{3, "cup"}};
  CocoAnnotation& object =
      contents.annotations.emplace_back(describe_mask(at::zeros({6, 8}, at::kBool).fill_(true)));
  object.id = 9;
  object.category_id = 3;
  object.object_id = 2;
  object.score = 0.12344;
  write_coco(folder.path() / "coco.json", contents);

  std::ifstream stream(folder.path() / "coco.json");
  const auto json = nlohmann::json::parse(stream);
  EXPECT_EQ(json["images"][0]["id"], 40);
  EXPECT_EQ(json["images"][0]["width"], 8);
  EXPECT_EQ(json["categories"], nlohmann::json::parse(R"([{"id": 3, "name": "cup"}])"));
  EXPECT_EQ(json["annotations"][0], nlohmann::json::parse(R"({"id": 9, "image_id": 40, "category_id": 3,
      "object_id": 2, "bbox": [0, 0, 8, 6], "area": 48, "iscrowd": 0, "score": 0.1234,
      "segmentation": {"size": [6, 8], "counts": "0`1"}})"));
}

}  // namespace
}  // namespace hqtrack::testing
