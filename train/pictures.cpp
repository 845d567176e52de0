#include "train/pictures.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "core/error.h"
#include "core/log.h"
#include "core/weights/rule_weights.h"
#include "io/rgba_picture.h"
#include "train/picture_cache.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr uint64_t kRulesVersion = 2;  // part of the cache's signature: raise it when a rule below changes
constexpr char kCacheName[] = "hqtrack_pictures.cache";

constexpr int kStampLongSide = 224;
constexpr int kDrawingLongSide = 176;
constexpr int kPhotographShortSide = 480;
constexpr int kSmallestPhotographSide = 200;
constexpr size_t kMostDrawings = 2000;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool has_folder(const fs::path& file, const std::string& name) {
  return std::any_of(file.begin(), file.end(), [&](const fs::path& part) { return part == name; });
}

bool is_readable_kind(const fs::path& file) {
  static const std::set<std::string> kinds = {".png", ".jpg", ".jpeg", ".webp", ".rcc"};
  return kinds.contains(lower(file.extension().string()));
}

/// "1920x1080": one of several sizes of a wallpaper.
bool is_named_by_size(const fs::path& file) {
  const std::string stem = file.stem().string();
  const size_t x = stem.find('x');
  return x != std::string::npos && x > 0 && x + 1 < stem.size() &&
         stem.find_first_not_of("0123456789x") == std::string::npos;
}

/// All candidate files, relative to the folder, in an order that no file system decides. Of a wallpaper's
/// many sizes the first by name is kept.
std::vector<fs::path> list_files(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (auto item = fs::recursive_directory_iterator(folder, error); item != fs::end(item);
       item.increment(error)) {
    if (error) break;
    if (!item->is_regular_file(error) || !is_readable_kind(item->path())) continue;
    const fs::path name = item->path().lexically_relative(folder);
    if (has_folder(name, "symbols") && !has_folder(name, "money")) continue;
    files.push_back(name);
  }
  if (error) throw MediaError(folder.string() + ": cannot read the folder of pictures: " + error.message());
  std::sort(files.begin(), files.end());
  std::set<fs::path> seen_folders;
  std::erase_if(files, [&](const fs::path& file) {
    return is_named_by_size(file) && !seen_folders.insert(file.parent_path()).second;
  });
  return files;
}

uint64_t signature_of(const fs::path& folder, const std::vector<fs::path>& files) {
  uint64_t hash = fnv1a64(&kRulesVersion, sizeof(kRulesVersion));
  for (const fs::path& file : files) {
    const std::string name = file.generic_string();
    std::error_code ignored;
    const uint64_t size = fs::file_size(folder / file, ignored);
    hash = fnv1a64(&size, sizeof(size), fnv1a64(name.data(), name.size(), hash));
  }
  return hash;
}

std::vector<uint8_t> read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) throw MediaError(file.string() + ": cannot be read");
  return bytes;
}

cv::Mat shrink(const cv::Mat& picture, double factor) {
  if (factor >= 1) return picture;
  cv::Mat small;
  cv::resize(picture, small, {}, factor, factor, cv::INTER_AREA);
  return small;
}

/// Shrinks RGBA without letting the colours of invisible pixels bleed in.
cv::Mat shrink_cut_out(const cv::Mat& rgba, double factor) {
  if (factor >= 1) return rgba.clone();
  cv::Mat values;
  rgba.convertTo(values, CV_32FC4, 1.0 / 255);
  values.forEach<cv::Vec4f>([](cv::Vec4f& p, const int*) {
    p = {p[0] * p[3], p[1] * p[3], p[2] * p[3], p[3]};
  });
  values = shrink(values, factor);
  values.forEach<cv::Vec4f>([](cv::Vec4f& p, const int*) {
    const float scale = p[3] > 1e-4f ? 1 / p[3] : 0;
    p = {p[0] * scale, p[1] * scale, p[2] * scale, p[3]};
  });
  cv::Mat small;
  values.convertTo(small, CV_8UC4, 255);
  return small;
}

/// What is visible of a picture with transparency, or nothing when it makes no object.
std::optional<cv::Mat> make_cut_out(const cv::Mat& rgba, int longest_side, double least_fill) {
  cv::Mat alpha;
  cv::extractChannel(rgba, alpha, 3);
  const cv::Mat visible = alpha > 127;
  const cv::Rect box = cv::boundingRect(visible);
  if (box.area() < 600) return std::nullopt;
  const double long_side = std::max(box.width, box.height), short_side = std::min(box.width, box.height);
  const int opaque = cv::countNonZero(visible(box));
  if (opaque < 600 || long_side / short_side >= 5 || opaque < least_fill * box.area()) return std::nullopt;
  if (opaque > 0.97 * rgba.total())
    return std::nullopt;  // a picture with a little transparency, not a cut-out
  return shrink_cut_out(rgba(box), longest_side / long_side);
}

/// Strength of fine texture: gradients, logos and flat designs have little over most of their area.
bool looks_natural(const cv::Mat& rgb) {
  cv::Mat grey, detail;
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  cv::Laplacian(grey, detail, CV_32F);
  const double textured = cv::countNonZero(cv::abs(detail) > 3) / static_cast<double>(grey.total());
  cv::Scalar mean, deviation;
  cv::meanStdDev(detail, mean, deviation);
  return deviation[0] > 5 && textured > 0.25;
}

std::optional<cv::Mat> make_photograph(const cv::Mat& rgba) {
  const int short_side = std::min(rgba.rows, rgba.cols), long_side = std::max(rgba.rows, rgba.cols);
  if (short_side < kSmallestPhotographSide || long_side > 4 * short_side) return std::nullopt;
  cv::Mat rgb;
  cv::cvtColor(shrink(rgba, kPhotographShortSide / static_cast<double>(short_side)), rgb, cv::COLOR_RGBA2RGB);
  if (!looks_natural(rgb)) return std::nullopt;
  return rgb;
}

bool has_transparency(const cv::Mat& rgba) {
  cv::Mat alpha;
  cv::extractChannel(rgba, alpha, 3);
  return cv::countNonZero(alpha < 128) >= 0.03 * rgba.total();
}

/// The same picture in another size has nearly the same 12x12 thumbnail.
class SeenPhotographs {
 public:
  bool insert(const cv::Mat& rgb) {
    cv::Mat thumbnail;
    cv::resize(rgb, thumbnail, {12, 12}, 0, 0, cv::INTER_AREA);
    for (const cv::Mat& other : thumbnails_) {
      if (cv::norm(thumbnail, other, cv::NORM_L1) < 6.0 * 12 * 12 * 3) return false;
    }
    thumbnails_.push_back(thumbnail);
    return true;
  }

 private:
  std::vector<cv::Mat> thumbnails_;
};

uint32_t big_endian(const uint8_t* p) { return uint32_t{p[0]} << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
uint32_t little_endian(const uint8_t* p) { return uint32_t{p[3]} << 24 | p[2] << 16 | p[1] << 8 | p[0]; }

/// Pictures stored in a Qt resource container: each entry is its length (4 bytes, big endian) and its bytes.
std::vector<std::span<const uint8_t>> pictures_in_container(std::span<const uint8_t> bytes) {
  constexpr size_t kSmallest = 8000;
  std::vector<std::span<const uint8_t>> found;
  for (size_t i = 4; i + 12 < bytes.size(); ++i) {
    const uint8_t* p = bytes.data() + i;
    const bool is_jpeg = p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff;
    const bool is_webp = std::equal(p, p + 4, "RIFF") && std::equal(p + 8, p + 12, "WEBP");
    if (!is_jpeg && !is_webp) continue;
    const size_t length = is_webp ? size_t{little_endian(p + 4)} + 8 : big_endian(p - 4);
    if (length < kSmallest || length > bytes.size() - i) continue;
    found.push_back(bytes.subspan(i, length));
    i += length - 1;
  }
  return found;
}

class Collector {
 public:
  void add_file(const fs::path& file, const fs::path& name) {
    const std::vector<uint8_t> bytes = read_bytes(file);
    if (lower(name.extension().string()) == ".rcc") {
      for (const auto picture : pictures_in_container(bytes))
        add_picture(picture, name, /*may_be_cut_out=*/false);
    } else {
      add_picture(bytes, name, lower(name.extension().string()) == ".png");
    }
  }

  Pictures pictures;
  int64_t num_unreadable = 0;
  fs::path first_unreadable;

 private:
  void add_picture(std::span<const uint8_t> bytes, const fs::path& name, bool may_be_cut_out) {
    const bool is_drawing = name.generic_string().find("openclipart") != std::string::npos;
    if (is_drawing && pictures.drawings.size() >= kMostDrawings) return;
    at::Tensor decoded;
    try {
      decoded = decode_rgba_picture(bytes, name.string());
    } catch (const MediaError&) {
      if (num_unreadable++ == 0) first_unreadable = name;  // one bad picture among thousands
      return;
    }
    const cv::Mat rgba(static_cast<int>(decoded.size(0)), static_cast<int>(decoded.size(1)), CV_8UC4,
                       decoded.mutable_data_ptr());
    if (has_transparency(rgba)) {
      if (!may_be_cut_out) return;
      const auto cut_out =
          make_cut_out(rgba, is_drawing ? kDrawingLongSide : kStampLongSide, is_drawing ? 0.25 : 0.12);
      if (cut_out) (is_drawing ? pictures.drawings : pictures.stamps).push_back(*cut_out);
    } else if (!is_drawing) {
      const auto photograph = make_photograph(rgba);
      if (photograph && seen_.insert(*photograph)) pictures.photographs.push_back(*photograph);
    }
  }

  SeenPhotographs seen_;
};

/// Sorted by a hash of the name, so that a limit on their number takes some of every folder.
void scatter(std::vector<fs::path>& files) {
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.generic_string(), y = b.generic_string();
    const uint64_t hx = fnv1a64(x.data(), x.size()), hy = fnv1a64(y.data(), y.size());
    return hx != hy ? hx < hy : x < y;
  });
}

}  // namespace

Pictures load_pictures(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw MediaError(folder.string() + ": expected a folder of pictures, found " +
                     (fs::exists(folder) ? "a file" : "nothing"));
  }
  std::vector<fs::path> files = list_files(folder);
  const uint64_t signature = signature_of(folder, files);
  const fs::path cache = folder / kCacheName;
  if (auto cached = read_picture_cache(cache, signature)) return *cached;

  scatter(files);
  Collector collector;
  for (const fs::path& file : files) collector.add_file(folder / file, file);
  if (collector.num_unreadable > 0) {
    log_warning((folder / collector.first_unreadable).string() + ": expected a picture, found none; " +
                std::to_string(collector.num_unreadable) + " such files are left out");
  }
  Pictures& pictures = collector.pictures;
  if (pictures.photographs.empty()) {
    throw MediaError(folder.string() + ": expected photographs of at least " +
                     std::to_string(kSmallestPhotographSide) + " px, found none in " +
                     std::to_string(files.size()) + " files");
  }
  try {
    write_picture_cache(cache, signature, pictures);
    if (auto cached = read_picture_cache(cache, signature)) return *cached;  // mapped pages can be shared
  } catch (const OutputError&) {
    // The pictures will be read again next time.
  }
  return pictures;
}

}  // namespace hqtrack
