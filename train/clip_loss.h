#pragma once

#include "core/config.h"
#include "tracker/vmos.h"
#include "train/clip_batch.h"

namespace hqtrack {

/// Settings that change while training goes on.
struct TrainingPhase {
  double hard_pixel_ratio = 1;
  double auxiliary_weight = 0;
  double teacher_forcing = 1;  // probability that a true map enters memory instead of the network's own

  /// progress: 0 at the first step, 1 at the last.
  static TrainingPhase at(const TrainConfig& config, int64_t step, double progress);
};

struct ClipLoss {
  at::Tensor total;  // to be minimised
  double segmentation = 0;
  double auxiliary = 0;  // before its weight
  double iou = -1;       // mean over the objects of the last frame; -1 when none is visible
};

/// Carries the objects of the first frames through the clips as the tracker does, each frame judged before
/// its labels, true or the network's own, sometimes damaged, enter memory (Yang et al., AOT, section
/// "Training"; docs/vmos.md, section 9). The first frame is the only reference and is never damaged. The
/// backbone is run without gradients when config.encoder_learning_rate_ratio is 0.
ClipLoss run_clips(Vmos& network, const ClipBatch& batch, const TrackerConfig& tracker,
                   const TrainConfig& config, const TrainingPhase& phase, Random& random);

}  // namespace hqtrack
