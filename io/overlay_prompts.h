#pragma once

#include <opencv2/core/mat.hpp>
#include <span>

#include "core/prompt.h"

namespace hqtrack {

/// Draws what a person said: boxes as broken lines in the object's colour; points as discs in that colour
/// with a white rim, those beside the object as white discs with a red cross. canvas: CV_8UC3 RGB; scale: 1
/// for a picture whose shorter side has 480 pixels.
void draw_prompts(cv::Mat& canvas, std::span<const ObjectPrompt> prompts, double scale);

}  // namespace hqtrack
