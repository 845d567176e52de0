#pragma once

#include <stop_token>

#include "core/config.h"
#include "train/still.h"
#include "train/training_run.h"

namespace hqtrack {

/// Trains the refiner on stills (train/training_run.h, train/refiner_questions.h): with
/// `train.refiner.trained: hq_head` the HQ branch alone on its own mask, as published; with `all` everything,
/// the encoder's trunk by `train.encoder_learning_rate_ratio`. Initial weights are those of a refiner, of a
/// plain SAM (the HQ branch then starts at random) or of a tracker whose encoder the refiner shares (the
/// trunk is taken, the rest starts at random). Without `max_minutes` the same seed, config, stills and CPU
/// give the same weights, also when the run was interrupted and resumed. Throws what run_training throws,
/// ConfigError and, for the initial weights, WeightsError.
bool train_refiner(const Config& config, const StillSource& stills, const TrainingRun& run,
                   std::stop_token stop);

}  // namespace hqtrack
