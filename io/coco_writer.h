#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace hqtrack {

struct CocoImage {
  int64_t id = 0;
  std::string file_name;
  int64_t height = 0, width = 0;
};

struct CocoAnnotation {
  int64_t id = 0;
  size_t image = 0;  // position in CocoFile::images
  int64_t category_id = 0;
  int64_t object_id = 0;  // 1..255: its value in the mask picture
  std::string counts;     // io/coco_rle.h
  int64_t area_px = 0;
  int64_t x = 0, y = 0, width = 0, height = 0;  // outer box of the mask
  double score = 0;                             // 0..1
};

/// A data set as COCO's instances are: pictures, and the masks of objects in them.
struct CocoFile {
  std::vector<CocoImage> images;
  std::vector<CocoAnnotation> annotations;
  std::map<int64_t, std::string> categories;  // names by id
};

/// The fields of an annotation that follow from its mask (bool [H, W], CPU).
CocoAnnotation describe_mask(const at::Tensor& mask);

/// Writes it as JSON, one picture or annotation a line. Atomic. Throws OutputError.
void write_coco(const std::filesystem::path& file, const CocoFile& contents);

}  // namespace hqtrack
