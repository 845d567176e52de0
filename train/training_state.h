#pragma once

#include <torch/nn/module.h>
#include <torch/optim/adamw.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"

namespace hqtrack {

/// What training does to a parameter. The backbone has the learning rate times
/// `encoder_learning_rate_ratio`, and is frozen when that is 0.
enum class ParameterRole { kTrained, kBackbone, kFrozen };

/// All that training changes: the network, the optimizer's moments, the moving average of the weights (which
/// is what is used in the end), and how far it has come. Saved and restored as a whole.
class TrainingState {
 public:
  /// Frozen parameters lose `requires_grad`.
  TrainingState(std::shared_ptr<torch::nn::Module> network, const TrainConfig& config,
                const std::function<ParameterRole(const std::string& name)>& role_of);

  /// One AdamW update from the gradients that `backward` leaves in the network, clipped to the configured
  /// norm, then one of the average. Returns the norm before clipping; when it is not finite nothing is
  /// changed.
  double update(const std::function<void()>& backward, double learning_rate);

  /// Atomic: `file` is the old checkpoint or the complete new one. Throws OutputError.
  void save(const std::filesystem::path& file) const;
  /// Continues exactly where `save` was called. Throws WeightsError, the state unchanged, when the file is
  /// damaged or of another network or another set of trained parameters.
  void load(const std::filesystem::path& file);

  /// Writes the averaged weights for use, float16. Atomic. Throws OutputError.
  void export_average(const std::filesystem::path& file) const;

  torch::nn::Module& network() { return *network_; }
  int64_t step = 0;      // updates made
  int64_t examples = 0;  // clips or pictures seen
  double minutes = 0;    // spent on training, without validation

 private:
  struct Parameter {
    std::string name;
    at::Tensor value, average;
  };
  torch::optim::AdamWParamState& moments(const at::Tensor& parameter) const;

  std::shared_ptr<torch::nn::Module> network_;
  TrainConfig config_;
  std::vector<Parameter> parameters_;  // the trained ones, in the network's order
  std::unique_ptr<torch::optim::AdamW> optimizer_;
};

}  // namespace hqtrack
