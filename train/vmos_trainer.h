#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <stop_token>

#include "core/config.h"
#include "train/clip.h"
#include "train/training_log.h"

namespace hqtrack {

/// Where a training run gets its start from, where it writes, and who watches.
struct TrainingRun {
  /// Created; gets checkpoint.safetensors, weights.safetensors, log.csv and log.svg.
  std::filesystem::path folder;
  std::filesystem::path initial_weights;  // empty: random weights
  bool resume = false;                    // continue from the folder's checkpoint
  c10::Device device = c10::kCPU;
  int64_t num_loader_threads = 1;

  /// Scores exported weights; called after a checkpoint. Empty for none.
  std::function<ValidationScores(const std::filesystem::path& weights)> validate;
  /// Called every 20 steps, at each checkpoint and after each validation.
  std::function<void(const TrainingRecord& record, double progress)> report;
};

/// Trains VMOS on clips until the configured steps are made, or until `max_minutes` of training have passed
/// when that is set; then the schedule runs against the clock. Every `checkpoint_minutes` and at the end it
/// writes, each file atomically: the whole state, the averaged weights (float16), the log and its plot. With
/// a stop request it does the same, without a validation, and returns early. Without `max_minutes` the same
/// seed, config, clips and CPU give the same weights, also when the run was interrupted and resumed. Returns
/// whether training came to its end. Throws ConfigError, WeightsError (initial weights or checkpoint),
/// OutputError and, when the folder holds a run and `resume` is not set, UsageError.
bool train_vmos(const Config& config, const ClipSource& clips, const TrainingRun& run, std::stop_token stop);

}  // namespace hqtrack
