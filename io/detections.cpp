#include "io/detections.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "io/json_text.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr int64_t kLastFrame = std::numeric_limits<int32_t>::max();

/// COCO's two kinds of files.
class CocoReader {
 public:
  explicit CocoReader(fs::path file) : file_(std::move(file)) {}

  DetectionFile read(std::string_view text) {
    // Segmentations are most of such a file, and not asked for.
    const Json root = parse_json(text, file_, "segmentation");
    DetectionFile result;
    result.file = file_;
    if (root.is_array()) {
      result.detections = read_detections(root, "", false);
      result.is_of_one_picture = number_lone_picture(result.detections);
      return result;
    }
    read_categories(root);
    read_images(root);
    result.detections = read_detections(list(root, "annotations"), "annotations", true);
    result.is_of_one_picture = pictures_.size() == 1;
    result.pictures = std::move(pictures_);
    result.categories = std::move(categories_);
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& entry, const std::string& expected, const Json* found) const {
    std::string text = !found               ? "nothing"
                       : found->is_array()  ? "a list of " + std::to_string(found->size())
                       : found->is_object() ? "an object"
                                            : found->dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    throw MediaError(file_.string() + ": " + entry + (entry.empty() ? "" : ": ") + "expected " + expected +
                     ", found " + text);
  }

  static const Json* member(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }

  const Json& list(const Json& root, const char* key) const {
    const Json* found = member(root, key);
    if (!found || !found->is_array()) fail(key, "a list, as a COCO data set has it", found);
    return *found;
  }

  int64_t integer(const Json& object, const std::string& entry, const char* key, int64_t low,
                  int64_t high) const {
    const Json* found = member(object, key);
    // Programs write whole numbers as 3.0, too.
    const double value = found && found->is_number() ? found->get<double>() : 0.5;
    const bool is_whole = value == std::floor(value) && std::abs(value) < 9e15;
    const int64_t number = is_whole ? found->get<int64_t>() : 0;
    if (!is_whole || number < low || number > high) {
      fail(entry + "." + key, "a whole number from " + std::to_string(low) + " to " + std::to_string(high),
           found);
    }
    return number;
  }

  int64_t id(const Json& object, const std::string& entry, const char* key) const {
    constexpr int64_t kHighest = 9'000'000'000'000'000;  // what every JSON reader keeps exactly
    return integer(object, entry, key, 0, kHighest);
  }

  std::string text(const Json& object, const std::string& entry, const char* key) const {
    const Json* found = member(object, key);
    if (!found || !found->is_string() || found->get_ref<const std::string&>().empty()) {
      fail(entry + "." + key, "a text", found);
    }
    return found->get<std::string>();
  }

  void read_categories(const Json& root) {
    if (!member(root, "categories")) return;
    size_t index = 0;
    for (const Json& category : list(root, "categories")) {
      const std::string entry = "categories[" + std::to_string(index++) + "]";
      if (!category.is_object()) fail(entry, "an object", &category);
      categories_.emplace(id(category, entry, "id"), text(category, entry, "name"));
    }
  }

  void read_images(const Json& root) {
    const Json& images = list(root, "images");
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string entry = "images[" + std::to_string(i) + "]";
      if (!images[i].is_object()) fail(entry, "an object", &images[i]);
      DetectedPicture& picture = pictures_.emplace_back();
      picture.id = id(images[i], entry, "id");
      picture.file_name = text(images[i], entry, "file_name");
      if (member(images[i], "height")) picture.height = integer(images[i], entry, "height", 0, kLastFrame);
      if (member(images[i], "width")) picture.width = integer(images[i], entry, "width", 0, kLastFrame);
    }
    std::ranges::stable_sort(pictures_, {}, &DetectedPicture::id);
    const auto twice = std::ranges::adjacent_find(pictures_, {}, &DetectedPicture::id);
    if (twice != pictures_.end()) {
      throw MediaError(file_.string() + ": images: expected ids of their own, found " +
                       std::to_string(twice->id) + " twice");
    }
  }

  std::vector<Detection> read_detections(const Json& entries, const std::string& name, bool is_data_set) {
    std::vector<Detection> detections;
    for (size_t i = 0; i < entries.size(); ++i) {
      const std::string entry = name + "[" + std::to_string(i) + "]";
      if (!entries[i].is_object()) fail(entry, "an object with image_id and bbox", &entries[i]);
      const Json* crowd = member(entries[i], "iscrowd");
      if (crowd && (*crowd == 1 || *crowd == true)) continue;
      Detection& detection = detections.emplace_back(read_detection(entries[i], entry));
      if (!is_data_set) continue;
      detection.frame_index = index_of(detection.frame_index, entry);
      if (member(entries[i], "id")) detection.annotation_id = id(entries[i], entry, "id");
    }
    return detections;
  }

  Detection read_detection(const Json& object, const std::string& entry) const {
    Detection detection;
    detection.source = file_.string() + ": " + entry;
    detection.frame_index = id(object, entry, "image_id");
    if (member(object, "category_id")) detection.category_id = id(object, entry, "category_id");
    const auto category = categories_.find(detection.category_id);
    if (category != categories_.end()) detection.name = category->second;
    if (const Json* score = member(object, "score")) {
      if (!score->is_number()) fail(entry + ".score", "a number", score);
      detection.score = score->get<double>();
    }
    const Json* box = member(object, "bbox");
    const bool is_box = box && box->is_array() && box->size() == 4 &&
                        std::ranges::all_of(*box, [](const Json& value) { return value.is_number(); });
    if (!is_box) fail(entry + ".bbox", "[x, y, width, height]", box);
    const double x = (*box)[0], y = (*box)[1];
    detection.box = {x, y, x + (*box)[2].get<double>(), y + (*box)[3].get<double>()};
    return detection;
  }

  int64_t index_of(int64_t image_id, const std::string& entry) const {
    const auto found = std::ranges::lower_bound(pictures_, image_id, {}, &DetectedPicture::id);
    if (found == pictures_.end() || found->id != image_id) {
      throw MediaError(file_.string() + ": " + entry + ".image_id: expected an id of images, found " +
                       std::to_string(image_id));
    }
    return found - pictures_.begin();
  }

  /// Detectors that saw one picture give it any number. Whether it is so.
  static bool number_lone_picture(std::vector<Detection>& detections) {
    const auto is_first = [&](const Detection& each) {
      return each.frame_index == detections.front().frame_index;
    };
    if (!std::ranges::all_of(detections, is_first)) return false;
    for (Detection& detection : detections) detection.frame_index = 0;
    return true;
  }

  fs::path file_;
  std::vector<DetectedPicture> pictures_;
  std::map<int64_t, std::string> categories_;
};

class MotReader {
 public:
  explicit MotReader(fs::path file) : file_(std::move(file)) {}

  DetectionFile read(const std::string& text) {
    DetectionFile result;
    result.file = file_;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      ++line_;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      result.detections.push_back(read_line(line));
    }
    return result;
  }

 private:
  Detection read_line(const std::string& line) {
    const std::vector<double> values = numbers(line);
    Detection detection;
    detection.source = file_.string() + ":" + std::to_string(line_);
    const int64_t frame = whole(values[0], "frame", 1, kLastFrame);
    detection.frame_index = frame - 1;
    const int64_t id = whole(values[1], "id", std::numeric_limits<int32_t>::min(), kLastFrame);
    if (id > 0) detection.object_id = id;
    if (id > 0 && !ids_.insert({frame, id}).second) {
      fail("an id once in a frame", std::to_string(id) + " twice in frame " + std::to_string(frame));
    }
    const double x = values[2] - 1, y = values[3] - 1;
    detection.box = {x, y, x + values[4], y + values[5]};
    if (values.size() > 6) detection.score = values[6];
    return detection;
  }

  /// Six or seven of them; what comes behind is not looked at.
  std::vector<double> numbers(const std::string& line) const {
    constexpr size_t kLeast = 6, kMost = 7;
    std::vector<double> values;
    std::istringstream fields(line);
    for (std::string field; values.size() < kMost && std::getline(fields, field, ',');) {
      const size_t begin = std::min(field.find_first_not_of(" \t\r"), field.size());
      const size_t end = field.find_last_not_of(" \t\r") + 1;
      double value = 0;
      const char* last = field.data() + std::max(begin, end);
      const auto [rest, error] = std::from_chars(field.data() + begin, last, value);
      if (error != std::errc{} || rest != last || !std::isfinite(value)) break;
      values.push_back(value);
    }
    const auto num_fields = static_cast<size_t>(std::ranges::count(line, ',')) + 1;
    if (values.size() < std::max(kLeast, std::min(num_fields, kMost))) {
      fail("COCO JSON, or MOT text: frame,id,x,y,width,height,conf", "'" + line.substr(0, 60) + "'");
    }
    return values;
  }

  int64_t whole(double value, const std::string& what, int64_t low, int64_t high) const {
    if (value != std::floor(value) || value < static_cast<double>(low) || value > static_cast<double>(high)) {
      std::ostringstream found;
      found << value;
      fail(what + ", a whole number from " + std::to_string(low) + " to " + std::to_string(high),
           found.str());
    }
    return static_cast<int64_t>(value);
  }

  [[noreturn]] void fail(const std::string& expected, const std::string& found) const {
    throw MediaError(file_.string() + ":" + std::to_string(line_) + ": expected " + expected + ", found " +
                     found);
  }

  fs::path file_;
  int64_t line_ = 0;
  std::set<std::pair<int64_t, int64_t>> ids_;  // frame and id
};

}  // namespace

std::vector<int64_t> DetectionFile::frames() const {
  std::set<int64_t> frames;
  for (const Detection& detection : detections) frames.insert(detection.frame_index);
  return {frames.begin(), frames.end()};
}

DetectionFile read_detections(const fs::path& file) {
  std::string text = read_text(file, "a file of detections");
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // byte order mark
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && (text[first] == '[' || text[first] == '{');
  DetectionFile result = is_json ? CocoReader(file).read(text) : MotReader(file).read(text);
  if (result.detections.empty()) {
    throw MediaError(file.string() + ": expected at least one detection, found none");
  }
  return result;
}

}  // namespace hqtrack
