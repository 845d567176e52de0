#include "io/coco_writer.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "core/label_mask.h"
#include "io/coco_rle.h"
#include "io/output_file.h"

namespace hqtrack {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const CocoImage& image) {
  return {{"id", image.id}, {"file_name", image.file_name}, {"width", image.width}, {"height", image.height}};
}

Json to_json(const CocoAnnotation& object, const CocoImage& image) {
  Json json = {{"id", object.id},
               {"image_id", image.id},
               {"category_id", object.category_id},
               {"object_id", object.object_id}};
  json["bbox"] = {object.x, object.y, object.width, object.height};
  json["area"] = object.area_px;
  json["iscrowd"] = 0;
  json["score"] = std::round(object.score * 1e4) / 1e4;
  json["segmentation"] = {{"size", {image.height, image.width}}, {"counts", object.counts}};
  return json;
}

/// `"name": [ ... ]`, one entry a line. Names may hold anything: bytes that are not UTF-8 are replaced.
std::string list_text(const std::string& name, const std::vector<Json>& entries) {
  std::string text = "\"" + name + "\": [";
  const char* separator = "\n";
  for (const Json& entry : entries) {
    text += std::exchange(separator, ",\n") + entry.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return text + "\n]";
}

}  // namespace

CocoAnnotation describe_mask(const at::Tensor& mask) {
  const Region region = label_regions(mask.to(at::kByte).contiguous())[1];
  CocoAnnotation object;
  object.counts = encode_coco_rle(mask);
  object.area_px = region.area_px;
  object.x = region.box.x0;
  object.y = region.box.y0;
  object.width = region.box.x1 - region.box.x0;
  object.height = region.box.y1 - region.box.y0;
  return object;
}

void write_coco(const std::filesystem::path& file, const CocoFile& contents) {
  std::vector<Json> images, annotations, categories;
  for (const CocoImage& image : contents.images) images.push_back(to_json(image));
  for (const CocoAnnotation& object : contents.annotations) {
    annotations.push_back(to_json(object, contents.images[object.image]));
  }
  for (const auto& [id, name] : contents.categories) categories.push_back({{"id", id}, {"name", name}});
  const std::string text = "{" + list_text("images", images) + ",\n" + list_text("annotations", annotations) +
                           ",\n" + list_text("categories", categories) + "}\n";
  write_file(file, text);
}

}  // namespace hqtrack
