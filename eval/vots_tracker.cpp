#include "eval/vots_tracker.h"

#include <utility>

#include "core/error.h"
#include "core/label_mask.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace {

constexpr int64_t kMaxObjects = 255;
constexpr int64_t kFrameDuration_us = 1'000'000 / 24;  // the protocol has no clock

ObjectPrompt to_prompt(const VotRegion& region, int64_t id, const at::Tensor& image) {
  ObjectPrompt prompt;
  prompt.id = id;
  if (const auto* box = std::get_if<VotRectangle>(&region)) {
    prompt.box = {box->x, box->y, static_cast<double>(box->x) + box->width,
                  static_cast<double>(box->y) + box->height};
  } else if (const auto* point = std::get_if<VotPoint>(&region)) {
    prompt.points = {{.x = point->x, .y = point->y}};
  } else if (const auto* special = std::get_if<VotSpecial>(&region)) {
    throw MediaError("object " + std::to_string(id) + ": expected a region to begin with, found the code " +
                     std::to_string(special->code));
  } else {
    prompt.mask = to_mask(region, image.size(0), image.size(1));
  }
  return prompt;
}

VotRegion mask_of(const at::Tensor& label_mask, int64_t id, const Region& region) {
  if (region.area_px == 0) return VotMask{};
  const Box& box = region.box;
  VotMask mask = to_vot_mask(label_mask.slice(0, box.y0, box.y1).slice(1, box.x0, box.x1).eq(id));
  // A mask of one column counts as none in the toolkit, whatever is around it.
  if (mask.width > 0) {
    mask.x += box.x0;
    mask.y += box.y0;
  }
  return mask;
}

VotRegion rectangle_of(const Region& region) {
  const Box& box = region.box;
  if (region.area_px == 0) return VotRectangle{};
  return VotRectangle{static_cast<float>(box.x0), static_cast<float>(box.y0),
                      static_cast<float>(box.x1 - box.x0), static_cast<float>(box.y1 - box.y0)};
}

}  // namespace

void VotsTracker::reset() { num_objects_ = num_frames_ = 0; }

std::vector<VotsAnswer> VotsTracker::track(const std::filesystem::path& picture,
                                           const std::vector<VotRegion>& entering) {
  if (num_objects_ == 0 && entering.empty()) return {};
  if (num_objects_ + std::ssize(entering) > kMaxObjects) {
    throw MediaError(picture.string() + ": expected at most 255 objects, found " +
                     std::to_string(num_objects_ + std::ssize(entering)));
  }
  Frame frame{.index = num_frames_, .pts_us = num_frames_ * kFrameDuration_us, .image = read_image(picture)};
  std::vector<ObjectPrompt> prompts;
  for (const VotRegion& region : entering) {
    const int64_t id = num_objects_ + std::ssize(prompts) + 1;
    prompts.push_back(to_prompt(region, id, frame.image));
  }
  const auto known = static_cast<size_t>(std::exchange(num_objects_, num_objects_ + std::ssize(entering)));
  SequenceTracker::Result result;
  if (num_frames_++ == 0) {
    result = tracker_.start(picture, std::move(frame), prompts);
  } else {
    result = tracker_.track(std::move(frame));
    if (!prompts.empty()) result = tracker_.add(picture, prompts);
  }
  std::vector<VotsAnswer> all = answers(result, known);
  for (const VotRegion& region : entering) all.push_back({region, 1.0});
  return all;
}

std::vector<VotsAnswer> VotsTracker::answers(const SequenceTracker::Result& result, size_t count) const {
  const auto regions = label_regions(result.label_mask);
  std::vector<VotsAnswer> answers;
  for (size_t id = 1; id <= count; ++id) {
    const auto object = static_cast<int64_t>(id);
    const auto score = result.scores.find(object);
    answers.push_back(
        {kind_ == Kind::kMask ? mask_of(result.label_mask, object, regions[id]) : rectangle_of(regions[id]),
         score == result.scores.end() ? 0.0 : score->second});
  }
  return answers;
}

}  // namespace hqtrack
