#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>

namespace hqtrack {

/// The measures of the DAVIS challenge. All masks are bool or uint8 [H, W] on the CPU, every non-zero value
/// being the object. `void_mask`, where given, marks pixels that do not count. Sizes that differ are a
/// c10::Error.

/// Region similarity J: intersection over union of the pixels; 1 when both masks are empty.
double region_similarity_j(const at::Tensor& truth, const at::Tensor& result,
                           const at::Tensor& void_mask = {});

/// Contour accuracy F: harmonic mean of the share of the result's contour that lies near the true contour
/// (precision) and of the share of the true contour that lies near the result's (recall). Near means within
/// `contour_tolerance_px`, in a straight line. Void pixels are background in both masks.
/// 1 when neither mask has a contour (a mask that fills the picture has none), 0 when only one of them has.
double contour_accuracy_f(const at::Tensor& truth, const at::Tensor& result,
                          const at::Tensor& void_mask = {});

/// Boundary IoU (Cheng et al. 2021): intersection over union of the pixels of each mask that lie within 2 %
/// of the picture's diagonal of its own edge; what lies outside the picture counts as background. Empty when
/// neither mask has a pixel.
std::optional<double> boundary_iou(const at::Tensor& truth, const at::Tensor& result, double ratio = 0.02);

/// 0.8 % of the picture's diagonal, rounded up: 8 pixels for 854x480.
int64_t contour_tolerance_px(int64_t height, int64_t width);

/// J or F of one object over the frames of a sequence.
struct ScoreStatistics {
  double mean = 0.0;
  double recall = 0.0;  // share of the frames above 0.5
  double decay = 0.0;   // mean of the first quarter of the frames minus mean of the last
};

/// scores: at least one frame, in time order. An empty list is a c10::Error.
ScoreStatistics score_statistics(std::span<const double> scores);

}  // namespace hqtrack
