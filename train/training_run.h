#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "train/training_log.h"
#include "train/training_task.h"

namespace hqtrack {

/// Where a training run gets its start from, where it writes, and who watches.
struct TrainingRun {
  /// Created; gets checkpoint.safetensors, weights.safetensors, log.csv and log.svg.
  std::filesystem::path folder;
  std::filesystem::path initial_weights;  // empty: random weights
  bool resume = false;                    // continue from the folder's checkpoint
  /// One, or several that train together: each takes `batch_size` examples a step.
  std::vector<c10::Device> devices = {c10::kCPU};
  int64_t num_loader_threads = 1;

  std::vector<std::string> score_names;  // of what `validate` measures, in its order
  /// Scores exported weights; called after a checkpoint, and of initial weights before the first step. Empty
  /// for none.
  std::function<std::vector<double>(const std::filesystem::path& weights)> validate;
  /// Called every 20 steps, at each checkpoint and after each validation.
  std::function<void(const TrainingRecord& record)> report;
  std::function<void(int64_t step, double minutes, double progress)> on_step;  // after each one
};

/// Looks at the files a run starts from, before there is a network or a picture. Throws WeightsError when the
/// checkpoint to resume from is missing or the initial weights cannot be read, and UsageError when the folder
/// holds a run and `resume` is not set.
void check_start(const TrainingRun& run);

/// Called once for each device; the network of the first one has the initial weights, the others get them.
using MakeTask = std::function<std::unique_ptr<TrainingTask>(c10::Device device, bool is_first)>;

/// Trains until the configured steps are made, or until `max_minutes` of training have passed when that is
/// set; then the schedule runs against the clock. Every `checkpoint_minutes` and at the end it writes, each
/// file atomically: the whole state, the averaged weights (float16), the log and its plot. With a stop
/// request it does the same, without a validation, and returns early. Returns whether training came to its
/// end. Throws WeightsError (checkpoint), OutputError and, when the folder holds a run and `resume` is not
/// set, UsageError.
bool run_training(const TrainConfig& config, const MakeTask& make_task, const TrainingRun& run,
                  const std::stop_token& stop);

}  // namespace hqtrack
