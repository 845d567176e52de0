#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "train/training_task.h"

namespace hqtrack {

/// One network on several devices: each takes a batch of its own in every step, in a thread of its own, and
/// the gradients are averaged (data parallel); of LibTorch's CPU threads each has its share. The first task's
/// network is the one that is trained; before each step the others get its parameters.
class Replicas {
 public:
  /// At least one task, all of the same network.
  explicit Replicas(std::vector<std::unique_ptr<TrainingTask>> tasks);

  TrainingTask& first() { return *tasks_.front(); }
  int64_t size() const { return static_cast<int64_t>(tasks_.size()); }

  /// See TrainingTask::start: the tasks share the batches from this one on. What is frozen in the first
  /// network by now is frozen in all.
  void start(int64_t first_batch);

  /// Leaves the gradients of the mean loss of the next `size()` batches in the first network, whose gradients
  /// were cleared. Returns the mean of what the batches say; `total` stays undefined.
  StepLoss backward(int64_t first_batch, int64_t step, double progress);

 private:
  void copy_parameters();
  void average_gradients();

  std::vector<std::unique_ptr<TrainingTask>> tasks_;
  std::vector<std::vector<at::Tensor>> parameters_;  // by task, in the network's order
};

}  // namespace hqtrack
