#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "train/training_log.h"
#include "train/training_state.h"

namespace hqtrack {

/// Where a training run gets its start from, where it writes, and who watches.
struct TrainingRun {
  /// Created; gets checkpoint.safetensors, weights.safetensors, log.csv and log.svg.
  std::filesystem::path folder;
  std::filesystem::path initial_weights;  // empty: random weights
  bool resume = false;                    // continue from the folder's checkpoint
  c10::Device device = c10::kCPU;
  int64_t num_loader_threads = 1;

  std::vector<std::string> score_names;  // of what `validate` measures, in its order
  /// Scores exported weights; called after a checkpoint, and of initial weights before the first step. Empty
  /// for none.
  std::function<std::vector<double>(const std::filesystem::path& weights)> validate;
  /// Called every 20 steps, at each checkpoint and after each validation.
  std::function<void(const TrainingRecord& record, double progress)> report;
};

/// What one batch says about the network.
struct StepLoss {
  at::Tensor total;      // to be minimised
  double loss = 0;       // its main part, for the log
  double auxiliary = 0;  // its other part, before its weight
  double iou = -1;       // mean over the objects of the batch; -1 when there is none
};

/// A network and the batches it learns from.
class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  /// In training mode, on its device, with its initial weights.
  virtual std::shared_ptr<torch::nn::Module> network() = 0;
  virtual ParameterRole role_of(const std::string& parameter) const = 0;
  /// Called once, before the first step of a run: batches are asked for from this number on, in order.
  virtual void start(int64_t first_batch) = 0;
  /// Loss of the next batch. progress: 0 at the first step, 1 at the last.
  virtual StepLoss next_loss(int64_t batch_number, int64_t step, double progress) = 0;
};

/// Looks at the files a run starts from, before there is a network or a picture. Throws WeightsError when the
/// checkpoint to resume from is missing or the initial weights cannot be read, and UsageError when the folder
/// holds a run and `resume` is not set.
void check_start(const TrainingRun& run);

/// Trains until the configured steps are made, or until `max_minutes` of training have passed when that is
/// set; then the schedule runs against the clock. Every `checkpoint_minutes` and at the end it writes, each
/// file atomically: the whole state, the averaged weights (float16), the log and its plot. With a stop
/// request it does the same, without a validation, and returns early. Returns whether training came to its
/// end. Throws WeightsError (checkpoint), OutputError and, when the folder holds a run and `resume` is not
/// set, UsageError.
bool run_training(const TrainConfig& config, TrainingTask& task, const TrainingRun& run,
                  const std::stop_token& stop);

}  // namespace hqtrack
