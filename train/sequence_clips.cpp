#include "train/sequence_clips.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "core/error.h"
#include "io/mask_reader.h"
#include "train/as_mat.h"
#include "train/cut_outs.h"
#include "train/random.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr int kLeastVisiblePixels = 100;
constexpr int kMostDraws = 100;

/// ROOT/kind or the folder of a resolution in it; empty when there is neither.
fs::path layout_folder(const fs::path& root, const std::string& kind) {
  for (const char* resolution : {"480p", "1080p", "Full-Resolution", ""}) {
    const fs::path folder = root / kind / resolution;
    if (fs::is_directory(folder)) return folder;
  }
  return {};
}

std::vector<fs::path> sorted_items(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> items;
  for (const auto& item : fs::directory_iterator(folder, error)) items.push_back(item.path());
  if (error) throw MediaError(folder.string() + ": cannot be read: " + error.message());
  std::sort(items.begin(), items.end());
  return items;
}

/// Where a window of the source lies, and how it is shown.
struct View {
  cv::Rect window;
  bool is_mirrored = false;
};

/// A window of the shape of `size` that is 40 to 100 % of the largest one; most of them hold a pixel of an
/// object near the middle.
View random_view(const cv::Mat& mask, cv::Size size, Random& random) {
  const double largest =
      std::min(static_cast<double>(mask.rows) / size.height, static_cast<double>(mask.cols) / size.width);
  const double scale = largest * random.uniform(0.4, 1.0);
  const int width = std::clamp(static_cast<int>(scale * size.width), std::min(8, mask.cols), mask.cols);
  const int height = std::clamp(static_cast<int>(scale * size.height), std::min(8, mask.rows), mask.rows);
  std::vector<cv::Point> pixels;
  cv::findNonZero(mask, pixels);
  cv::Point centre(static_cast<int>(random.index(mask.cols)), static_cast<int>(random.index(mask.rows)));
  if (!pixels.empty() && random.chance(0.8)) {
    const int dx = static_cast<int>(random.normal(width / 5.0)),
              dy = static_cast<int>(random.normal(height / 5.0));
    centre = random.choose(pixels) + cv::Point(dx, dy);
  }
  const int x = std::clamp(centre.x - width / 2, 0, mask.cols - width);
  const int y = std::clamp(centre.y - height / 2, 0, mask.rows - height);
  return {{x, y, width, height}, random.chance(0.5)};
}

cv::Mat show(const cv::Mat& source, const View& view, cv::Size size, int shrinking) {
  cv::Mat out;
  const bool shrinks = view.window.width > size.width;
  cv::resize(source(view.window), out, size, 0, 0,
             shrinks ? shrinking : (source.channels() == 3 ? cv::INTER_LINEAR : cv::INTER_NEAREST));
  if (view.is_mirrored) cv::flip(out, out, 1);
  return out;
}

/// Table from the sequence's ids to 1..n: those that show in the first frame, by chance when there are too
/// many. 255 stays. Empty when there is none.
std::optional<std::pair<cv::Mat, int64_t>> number_objects(const cv::Mat& first, int64_t most,
                                                          Random& random) {
  std::array<int, 256> counts{};
  for (auto label = first.begin<uint8_t>(); label != first.end<uint8_t>(); ++label) ++counts[*label];
  std::vector<int> ids;
  for (int id = 1; id < 255; ++id) {
    if (counts[id] >= kLeastVisiblePixels) ids.push_back(id);
  }
  if (ids.empty()) return std::nullopt;
  random.shuffle(ids);
  ids.resize(std::min(ids.size(), static_cast<size_t>(most)));
  cv::Mat table = cv::Mat::zeros(1, 256, CV_8UC1);
  table.at<uint8_t>(255) = 255;
  for (size_t i = 0; i < ids.size(); ++i) table.at<uint8_t>(ids[i]) = static_cast<uint8_t>(i + 1);
  return std::pair{table, static_cast<int64_t>(ids.size())};
}

/// One brightness, contrast and saturation for a whole clip.
cv::Matx34f random_colours(Random& random) {
  const double contrast = random.uniform(0.75, 1.25), offset = random.uniform(-25, 25);
  const double saturation = random.chance(0.2) ? 0 : random.uniform(0.6, 1.3), grey = (1 - saturation) / 3;
  cv::Matx34f change;
  for (int i = 0; i < 3; ++i) {
    const double tint = contrast * random.uniform(0.9, 1.1);
    for (int j = 0; j < 3; ++j) change(i, j) = static_cast<float>(tint * (grey + (i == j ? saturation : 0)));
    change(i, 3) = static_cast<float>(offset);
  }
  return change;
}

}  // namespace

SequenceClips::SequenceClips(const fs::path& root, const SequenceClipOptions& options)
    : root_(root), options_(options) {
  const fs::path images = layout_folder(root, "JPEGImages"), masks = layout_folder(root, "Annotations");
  if (images.empty() || masks.empty()) {
    throw MediaError(root.string() + ": expected the folders JPEGImages and Annotations, found no " +
                     (images.empty() ? "JPEGImages" : "Annotations"));
  }
  for (const fs::path& folder : sorted_items(masks)) {
    if (!fs::is_directory(folder) || !fs::is_directory(images / folder.filename())) continue;
    std::map<std::string, fs::path> by_stem;
    for (const fs::path& image : sorted_items(images / folder.filename()))
      by_stem[image.stem().string()] = image;
    std::vector<SequenceFrame> frames;
    for (const fs::path& mask : sorted_items(folder)) {
      const auto image = by_stem.find(mask.stem().string());
      if (mask.extension() == ".png" && image != by_stem.end()) frames.push_back({image->second, mask});
    }
    if (static_cast<int64_t>(frames.size()) >= options.num_frames) sequences_.push_back(std::move(frames));
  }
  if (sequences_.empty()) {
    throw MediaError(root.string() + ": expected sequences of at least " +
                     std::to_string(options.num_frames) + " frames with masks, found none");
  }
}

std::vector<SequenceClips::SequenceFrame> SequenceClips::random_frames(Random& random) const {
  const std::vector<SequenceFrame>& sequence = random.choose(sequences_);
  const int64_t length = static_cast<int64_t>(sequence.size()), count = options_.num_frames;
  const int64_t longest_step =
      std::min(options_.max_step_frames, (length - 1) / std::max<int64_t>(count - 1, 1));
  const int64_t step = random.integer(1, std::max<int64_t>(longest_step, 1));
  const int64_t first = random.index(length - (count - 1) * step);
  std::vector<SequenceFrame> frames;
  for (int64_t i = 0; i < count; ++i) frames.push_back(sequence[first + i * step]);
  if (random.chance(0.5)) std::reverse(frames.begin(), frames.end());
  return frames;
}

Clip SequenceClips::example(int64_t number) const {
  Random random(options_.seed ^ 0x5e9, static_cast<uint64_t>(number));
  const cv::Size size(static_cast<int>(options_.width_px), static_cast<int>(options_.height_px));
  for (int draw = 0; draw < kMostDraws; ++draw) {
    const std::vector<SequenceFrame> frames = random_frames(random);
    const at::Tensor first_mask = read_label_mask(frames.front().mask);
    const View view = random_view(as_mat(first_mask), size, random);
    const auto numbering =
        number_objects(show(as_mat(first_mask), view, size, cv::INTER_NEAREST), options_.max_objects, random);
    if (!numbering) continue;
    const cv::Matx34f colours = random_colours(random);

    Clip clip{at::empty({options_.num_frames, options_.height_px, options_.width_px, 3}, at::kByte),
              at::empty({options_.num_frames, options_.height_px, options_.width_px}, at::kByte),
              numbering->second};
    for (size_t i = 0; i < frames.size(); ++i) {
      const at::Tensor image = read_image(frames[i].image), mask = read_label_mask(frames[i].mask);
      if (image.size(0) != first_mask.size(0) || image.size(1) != first_mask.size(1) ||
          mask.sizes() != first_mask.sizes()) {
        throw MediaError(frames[i].image.string() + ": expected a picture and mask of " +
                         std::to_string(first_mask.size(0)) + "x" + std::to_string(first_mask.size(1)) +
                         " as in the clip's first frame, found another size");
      }
      cv::Mat shown = show(as_mat(image), view, size, cv::INTER_AREA), labels;
      cv::transform(shown, shown, colours);
      cv::LUT(show(as_mat(mask), view, size, cv::INTER_NEAREST), numbering->first, labels);
      std::memcpy(clip.images[static_cast<int64_t>(i)].mutable_data_ptr(), shown.data, shown.total() * 3);
      std::memcpy(clip.labels[static_cast<int64_t>(i)].mutable_data_ptr(), labels.data, labels.total());
    }
    return clip;
  }
  throw MediaError(root_.string() + ": expected masks with objects of at least " +
                   std::to_string(kLeastVisiblePixels) + " px, found none in " + std::to_string(kMostDraws) +
                   " windows");
}

}  // namespace hqtrack
