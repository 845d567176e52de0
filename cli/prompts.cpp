#include "cli/prompts.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/label_mask.h"
#include "core/log.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace {

constexpr size_t kMostLikelyObjects = 40;  // more look like shades of one

std::string size_text(int64_t width, int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

void warn_of_vanished(const std::string& file, const std::vector<int64_t>& before,
                      const std::vector<int64_t>& after) {
  for (const int64_t id : before) {
    if (std::ranges::find(after, id) != after.end()) continue;
    log_warning(file + ": object " + std::to_string(id) +
                " is too small to be seen at the size of the video");
  }
}

}  // namespace

std::vector<PromptMask> read_prompts(const std::vector<MaskArgument>& masks, int64_t height, int64_t width) {
  std::vector<PromptMask> prompts;
  for (const MaskArgument& mask : masks) {
    const std::string file = mask.file.string();
    at::Tensor labels = read_label_mask(mask.file);
    const std::vector<int64_t> ids = label_ids(labels);
    if (ids.size() > kMostLikelyObjects) {
      log_warning(file + ": found " + std::to_string(ids.size()) +
                  " different values, each an object; is the mask blurred or antialiased?");
    }
    if (ids.empty()) throw MediaError(file + ": expected at least one object, found only background");
    if (labels.size(0) != height || labels.size(1) != width) {
      log_warning(file + ": resized from " + size_text(labels.size(1), labels.size(0)) + " to " +
                  size_text(width, height) + ", the size of the video");
      labels = resize_labels(labels, height, width);
      const std::vector<int64_t> kept = label_ids(labels);
      warn_of_vanished(file, ids, kept);
      if (kept.empty())
        throw MediaError(file + ": expected objects of at least a pixel of the video, found smaller ones");
    }
    prompts.push_back({.frame_index = mask.frame_index, .label_mask = labels});
  }
  return prompts;
}

}  // namespace hqtrack
