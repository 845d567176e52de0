#include "train/pair_stills.h"

#include <algorithm>
#include <array>
#include <map>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "io/mask_reader.h"
#include "train/as_mat.h"
#include "train/cut_outs.h"
#include "train/random.h"
#include "train/still_crop.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr int kMostDraws = 100;

/// Files of one folder by their names without the ending.
struct Folder {
  std::map<std::string, fs::path> images, masks;  // .jpg and .jpeg; .png
};

std::map<fs::path, Folder> list_folders(const fs::path& root) {
  std::map<fs::path, Folder> folders;
  std::error_code error;
  for (auto item =
           fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink, error);
       item != fs::end(item); item.increment(error)) {
    if (error) break;
    const fs::path& file = item->path();
    std::string ending = file.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    Folder& folder = folders[file.parent_path()];
    if (ending == ".jpg" || ending == ".jpeg") folder.images[file.stem().string()] = file;
    if (ending == ".png") folder.masks[file.stem().string()] = file;
  }
  if (error) throw MediaError(root.string() + ": cannot read the folder of pairs: " + error.message());
  return folders;
}

/// The folder beside `images` that holds its masks; none: they are in the same one.
std::optional<fs::path> mask_folder_of(const fs::path& images, const std::map<fs::path, Folder>& folders) {
  const std::string name = images.filename().string();
  std::vector<std::string> candidates;
  if (name == "im") candidates = {"gt"};
  if (name.starts_with("images")) {
    const std::string masks = "masks" + name.substr(6);
    candidates = {masks, masks + "_max255"};
  }
  for (const std::string& candidate : candidates) {
    const fs::path folder = images.parent_path() / candidate;
    if (folders.contains(folder)) return folder;
  }
  return std::nullopt;
}

void warn_of(const std::vector<fs::path>& files, const std::string& what) {
  if (files.empty()) return;
  log_warning(files.front().string() + ": " + what +
              (files.size() == 1 ? "" : ", and " + std::to_string(files.size() - 1) + " more") +
              "; left out");
}

/// A window of 40 to 100 % of each edge that holds the middle of the object's box.
cv::Rect random_window(const cv::Rect& box, cv::Size picture, Random& random) {
  const auto span = [&](int middle, int edge) {
    const int length = std::max(1, static_cast<int>(edge * random.uniform(0.4, 1.0)));
    const int first = std::max(0, middle - length + 1), last = std::min(middle, edge - length);
    return std::pair{static_cast<int>(random.integer(first, std::max(first, last))), length};
  };
  const auto [x, width] = span(box.x + box.width / 2, picture.width);
  const auto [y, height] = span(box.y + box.height / 2, picture.height);
  return {x, y, width, height};
}

cv::Rect random_view(const cv::Mat& labels, Random& random) {
  const cv::Rect box = box_of(labels, 1);
  switch (random.weighted({0.5, 0.25, 0.25})) {
    case 0:
      return random_surroundings(box, labels.size(), random);
    case 1:
      return random_window(box, labels.size(), random);
    default:
      return {{0, 0}, labels.size()};
  }
}

bool shows_object(const Still& still) {
  const cv::Mat labels(static_cast<int>(still.labels.size(0)), static_cast<int>(still.labels.size(1)),
                       CV_8UC1, still.labels.data_ptr());
  return cv::countNonZero(labels) >= kLeastObjectPixels;
}

Still read_still(const PicturePair& pair, const PairStillOptions& options, Random& random) {
  const at::Tensor picture = read_image(pair.image).contiguous(), mask = read_image(pair.mask).contiguous();
  if (picture.sizes() != mask.sizes()) {
    throw MediaError(pair.mask.string() + ": expected a mask of " + std::to_string(picture.size(1)) + "x" +
                     std::to_string(picture.size(0)) + " as its picture, found " +
                     std::to_string(mask.size(1)) + "x" + std::to_string(mask.size(0)));
  }
  cv::Mat image = as_mat(picture), labels;
  cv::extractChannel(as_mat(mask), labels, 0);
  labels = (labels > 128) / 255;
  if (options.is_augmented && cv::countNonZero(labels) > 0) {
    const cv::Rect view = random_view(labels, random);
    image = image(view).clone();
    labels = labels(view).clone();
    if (random.chance(0.5)) {
      cv::flip(image, image, 1);
      cv::flip(labels, labels, 1);
    }
    jitter_colours(image, 0.15, random);
  }
  const int64_t longer_edge = std::max(image.rows, image.cols);
  return make_still(image, labels, 1, options.is_augmented ? options.size_px : longer_edge);
}

}  // namespace

std::vector<PicturePair> find_pairs(const fs::path& root) {
  if (!fs::is_directory(root)) {
    throw MediaError(root.string() + ": expected a folder of pairs, found " +
                     (fs::exists(root) ? "a file" : "nothing"));
  }
  const std::map<fs::path, Folder> folders = list_folders(root);
  std::vector<PicturePair> pairs;
  std::vector<fs::path> without_mask;
  std::set<fs::path> used;
  for (const auto& [path, folder] : folders) {
    const auto& masks = folders.at(mask_folder_of(path, folders).value_or(path)).masks;
    for (const auto& [name, image] : folder.images) {
      const auto mask = masks.find(name);
      if (mask == masks.end()) {
        without_mask.push_back(image);
      } else {
        pairs.push_back({image, mask->second});
        used.insert(mask->second);
      }
    }
  }
  std::vector<fs::path> without_image;
  for (const auto& [path, folder] : folders) {
    for (const auto& [name, mask] : folder.masks) {
      if (!used.contains(mask)) without_image.push_back(mask);
    }
  }
  warn_of(without_mask, "a picture without a mask");
  warn_of(without_image, "a mask without a picture");
  if (pairs.empty()) {
    throw MediaError(root.string() +
                     ": expected pictures with masks (NAME.jpg beside NAME.png, or in im and gt, images and "
                     "masks), found none");
  }
  return pairs;
}

PairStills::PairStills(std::vector<PicturePair> pairs, const PairStillOptions& options)
    : pairs_(std::move(pairs)), options_(options) {
  if (pairs_.empty()) throw MediaError("pairs: expected pictures with masks, found none");
}

Still PairStills::example(int64_t number) const {
  if (!options_.is_augmented) {
    Random unused(0);
    return read_still(pairs_[static_cast<size_t>(number) % pairs_.size()], options_, unused);
  }
  Random random(options_.seed ^ 0x9a125, static_cast<uint64_t>(number));
  const PicturePair* last = nullptr;
  for (int draw = 0; draw < kMostDraws; ++draw) {
    last = &random.choose(pairs_);
    Still still = read_still(*last, options_, random);
    if (shows_object(still)) return still;
  }
  throw MediaError(last->mask.string() + ": expected masks with objects of at least " +
                   std::to_string(kLeastObjectPixels) + " px, found none in " + std::to_string(kMostDraws) +
                   " draws");
}

}  // namespace hqtrack
