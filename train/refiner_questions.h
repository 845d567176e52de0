#pragma once

#include <ATen/core/Tensor.h>

#include <opencv2/core/mat.hpp>
#include <vector>

#include "core/config.h"
#include "core/layers.h"
#include "refiner/prompt_encoder.h"
#include "train/random.h"
#include "train/still.h"

namespace hqtrack {

enum class PromptKind { kBox, kPoints, kBoxAndPoints, kMask };

/// Prompts of one kind about one still, which go through the decoder together, with the right answers.
struct Questions {
  PromptKind kind = PromptKind::kBox;
  std::vector<int> objects;  // labels, one a prompt
  Prompts prompts;           // in pixels of the still; masks for an input of the size asked for
  at::Tensor targets;        // float [B, 1, h, w] at stride 4 of the input: part of each cell inside
};

/// The outer box of an object, first and last pixel inside, each edge moved by a normal distance of `jitter`
/// times the box's size; a third of the boxes are exact, a quarter of the others twice as far off. Stays in
/// the picture.
std::vector<float> random_box(const cv::Mat& labels, int object, double jitter, Random& random);

/// A point on an object, most of them well inside.
cv::Point random_point_on(const cv::Mat& labels, int object, Random& random);

/// Draws `prompts_per_picture` prompts in the configured shares, grouped by kind, about objects that show
/// `kLeastObjectPixels`, large ones more often:
/// - boxes alone (random_box);
/// - one to three points on the object and, half of the time, one beside it; the same number in a group;
/// - box and points;
/// - wrong masks with the box around them, some with the object's box, some a box filled. Where a tracker saw
///   the object its mask is taken, else `wrong_mask` makes one.
/// `input` is the size of the network's input. Throws c10::Error when the still shows no such object.
std::vector<Questions> random_questions(const Still& still, GridSize input, const RefinerTrainConfig& config,
                                        Random& random);

}  // namespace hqtrack
