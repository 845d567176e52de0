#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/prompt.h"
#include "io/detections.h"
#include "io/prompt_file.h"

namespace hqtrack {

/// One `--detections FILE` of a command line, with what belongs to it.
struct DetectionArguments {
  std::filesystem::path file;
  Moment at;
  double min_score = -std::numeric_limits<double>::infinity();
};

/// Those of a file that become objects at the moment it is given for, the surest first. Throws MediaError
/// when there are none; UsageError for a time where only a frame can say which are meant.
std::vector<Detection> choose_detections(const DetectionArguments& arguments);

/// Leaves out boxes without a pixel inside the picture, and those beyond the first `most`; one warning for
/// each of both. Throws MediaError when nothing is left. `source` is what messages begin with.
std::vector<Detection> fit_to_picture(std::vector<Detection> detections, const std::string& source,
                                      int64_t height, int64_t width, int64_t most);

/// Adds the objects of such files to those that are described otherwise. Ids from 1 to 255 are kept: one
/// that is known by then is corrected. Throws as the functions above.
void add_detections(std::span<const DetectionArguments> files, int64_t height, int64_t width,
                    std::vector<PromptEntry>& entries);

}  // namespace hqtrack
