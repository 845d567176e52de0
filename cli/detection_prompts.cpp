#include "cli/detection_prompts.h"

#include <algorithm>
#include <functional>
#include <sstream>

#include "cli/prompts.h"
#include "core/error.h"
#include "core/log.h"

namespace hqtrack {
namespace {

/// "frames 0, 5 and 9", "frame 3", "120 frames from 0 to 400".
std::string list_text(const std::vector<int64_t>& frames) {
  constexpr size_t kMost = 8;
  if (frames.size() == 1) return "frame " + std::to_string(frames.front());
  if (frames.size() > kMost) {
    return std::to_string(frames.size()) + " frames from " + std::to_string(frames.front()) + " to " +
           std::to_string(frames.back());
  }
  std::string text = "frames " + std::to_string(frames.front());
  for (size_t i = 1; i < frames.size(); ++i) {
    text += (i + 1 == frames.size() ? " and " : ", ") + std::to_string(frames[i]);
  }
  return text;
}

std::string number_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// The surest first.
std::vector<Detection> detections_of(const DetectionFile& file, int64_t frame_index, double min_score) {
  std::vector<Detection> chosen;
  for (const Detection& detection : file.detections) {
    if (detection.frame_index == frame_index && detection.score >= min_score) chosen.push_back(detection);
  }
  std::ranges::stable_sort(chosen, std::greater(), &Detection::score);
  return chosen;
}

}  // namespace

std::vector<Detection> choose_detections(const DetectionArguments& arguments) {
  const DetectionFile file = read_detections(arguments.file);
  const std::string name = arguments.file.string();
  if (arguments.at.time_us && !file.is_of_one_picture) {
    throw UsageError("--at: expected a frame, which says which detections of " + name + " are meant, found " +
                     to_text(arguments.at));
  }
  const int64_t frame = file.is_of_one_picture ? 0 : arguments.at.frame_index;
  std::vector<Detection> chosen = detections_of(file, frame, arguments.min_score);
  if (!chosen.empty()) return chosen;
  const std::vector<Detection> all = detections_of(file, frame, -std::numeric_limits<double>::infinity());
  if (all.empty()) {
    throw MediaError(name + ": expected detections of frame " + std::to_string(frame) + ", found some of " +
                     list_text(file.frames()) + "; --at says which frame is meant");
  }
  throw MediaError(name + ": expected detections with a score of at least " +
                   number_text(arguments.min_score) + ", found at most " + number_text(all.front().score));
}

std::vector<Detection> fit_to_picture(std::vector<Detection> detections, const std::string& source,
                                      int64_t height, int64_t width, int64_t most) {
  const std::string picture = "the picture of " + std::to_string(width) + "x" + std::to_string(height);
  const auto is_outside = [&](const Detection& detection) {
    ObjectPrompt prompt;
    prompt.id = 1;
    prompt.box = detection.box;
    return !fault_of(prompt, height, width).empty();
  };
  const auto num_outside = static_cast<int64_t>(std::erase_if(detections, is_outside));
  if (detections.empty()) {
    throw MediaError(source + ": expected a box inside " + picture + ", found " +
                     std::to_string(num_outside) + " without a pixel in it");
  }
  if (num_outside > 0) {
    log_warning(source + ": left out " + std::to_string(num_outside) +
                (num_outside == 1 ? " box" : " boxes") + " without a pixel inside " + picture);
  }
  if (static_cast<int64_t>(detections.size()) > most) {
    log_warning(source + ": took the surest " + std::to_string(most) + " of " +
                std::to_string(detections.size()) + " detections; there can be 255 objects");
    detections.resize(static_cast<size_t>(most));
  }
  return detections;
}

void add_detections(std::span<const DetectionArguments> files, int64_t height, int64_t width,
                    std::vector<PromptEntry>& entries) {
  for (const DetectionArguments& file : files) {
    const auto most = std::max<int64_t>(0, 255 - static_cast<int64_t>(entries.size()));
    for (const Detection& detection :
         fit_to_picture(choose_detections(file), file.file.string(), height, width, most)) {
      PromptEntry& entry = entries.emplace_back();
      entry.at = file.at;
      if (detection.object_id && *detection.object_id <= 255) entry.id = detection.object_id;
      entry.name = detection.name;
      entry.box = detection.box;
      entry.source = detection.source;
    }
  }
}

}  // namespace hqtrack
