#pragma once

#include <stop_token>

#include "core/config.h"
#include "train/clip.h"
#include "train/training_run.h"

namespace hqtrack {

/// Trains VMOS on clips (train/training_run.h). Without `max_minutes` the same seed, config, clips and CPU
/// give the same weights, also when the run was interrupted and resumed. Throws what run_training throws,
/// ConfigError and, for the initial weights, WeightsError.
bool train_vmos(const Config& config, const ClipSource& clips, const TrainingRun& run, std::stop_token stop);

}  // namespace hqtrack
