#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>

#include "train/training_state.h"

namespace hqtrack {

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
  /// Called once, before the first step of a run: the batches `first`, `first + stride` ... are asked for, in
  /// order.
  virtual void start(int64_t first_batch, int64_t stride) = 0;
  /// Loss of the next batch. progress: 0 at the first step, 1 at the last.
  virtual StepLoss next_loss(int64_t batch_number, int64_t step, double progress) = 0;
};

}  // namespace hqtrack
