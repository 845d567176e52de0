#include "train/training_state.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <torch/nn/utils/clip_grad.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/weights/safetensors.h"
#include "core/weights/weights.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using torch::optim::AdamWOptions;

constexpr char kFormat[] = "hqtrack training checkpoint 1";

/// Matrices and kernels are decayed; biases and the scales of norms are not. The backbone keeps what it
/// learnt.
enum Group : size_t { kDecayed, kPlain, kBackbone };
Group group_of(ParameterRole role, const at::Tensor& value) {
  if (role == ParameterRole::kBackbone) return kBackbone;
  return value.dim() > 1 ? kDecayed : kPlain;
}

template <class Number>
Number number_in(const TensorFile& contents, const std::string& key, const fs::path& file) {
  const auto found = contents.metadata.find(key);
  Number value{};
  if (found != contents.metadata.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size()) return value;
  }
  throw WeightsError(file.string() + ": checkpoint without a readable \"" + key + "\"");
}

std::string exact_text(double value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

}  // namespace

TrainingState::TrainingState(std::shared_ptr<torch::nn::Module> network, const TrainConfig& config,
                             const std::function<ParameterRole(const std::string& name)>& role_of)
    : network_(std::move(network)), config_(config) {
  std::vector<std::vector<at::Tensor>> groups(3);
  for (auto& item : network_->named_parameters()) {
    at::Tensor value = item.value();
    const ParameterRole role = role_of(item.key());
    if (role == ParameterRole::kFrozen ||
        (role == ParameterRole::kBackbone && config.encoder_learning_rate_ratio == 0)) {
      value.requires_grad_(false);
      continue;
    }
    parameters_.push_back({item.key(), value, value.detach().clone()});
    groups[group_of(role, value)].push_back(value);
  }
  std::vector<torch::optim::OptimizerParamGroup> optimizer_groups;
  for (size_t i = 0; i < groups.size(); ++i) {
    auto options = std::make_unique<AdamWOptions>(config.learning_rate);
    options->betas({0.9, 0.99}).weight_decay(i == kDecayed ? config.weight_decay : 0.0);
    optimizer_groups.emplace_back(groups[i], std::move(options));
  }
  optimizer_ = std::make_unique<torch::optim::AdamW>(optimizer_groups);
  for (const Parameter& parameter : parameters_) moments(parameter.value);
}

/// The optimizer's memory of one parameter, made before its first update so that checkpoints are always
/// whole.
torch::optim::AdamWParamState& TrainingState::moments(const at::Tensor& parameter) const {
  auto& slot = optimizer_->state()[parameter.unsafeGetTensorImpl()];
  if (!slot) {
    auto fresh = std::make_unique<torch::optim::AdamWParamState>();
    fresh->step(0);
    fresh->exp_avg(at::zeros_like(parameter.detach()));
    fresh->exp_avg_sq(at::zeros_like(parameter.detach()));
    slot = std::move(fresh);
  }
  return static_cast<torch::optim::AdamWParamState&>(*slot);
}

double TrainingState::update(const std::function<void()>& backward, double learning_rate) {
  auto& groups = optimizer_->param_groups();
  for (size_t i = 0; i < groups.size(); ++i) {
    const double ratio = i == kBackbone ? config_.encoder_learning_rate_ratio : 1.0;
    static_cast<AdamWOptions&>(groups[i].options()).lr(learning_rate * ratio);
  }
  optimizer_->zero_grad();
  backward();
  std::vector<at::Tensor> with_gradients;
  for (const Parameter& parameter : parameters_) {
    if (parameter.value.grad().defined()) with_gradients.push_back(parameter.value);
  }
  const double norm = torch::nn::utils::clip_grad_norm_(with_gradients, config_.gradient_clip_norm);
  if (!std::isfinite(norm)) return norm;
  optimizer_->step();
  ++step;

  const at::NoGradGuard no_gradients;
  const double warm = (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step));
  const double decay = std::min(config_.ema_decay, warm);
  for (Parameter& parameter : parameters_) parameter.average.lerp_(parameter.value, 1 - decay);
  return norm;
}

void TrainingState::save(const fs::path& file) const {
  TensorFile contents = module_weights(*network_);
  for (NamedTensor& entry : contents.tensors) entry.name = "network/" + entry.name;
  for (const Parameter& parameter : parameters_) {
    const auto& kept = moments(parameter.value);
    contents.tensors.push_back({"average/" + parameter.name, parameter.average.cpu()});
    contents.tensors.push_back({"mean/" + parameter.name, kept.exp_avg().cpu()});
    contents.tensors.push_back({"square/" + parameter.name, kept.exp_avg_sq().cpu()});
  }
  const int64_t updates = parameters_.empty() ? 0 : moments(parameters_.front().value).step();
  contents.metadata = {{"format", kFormat},
                       {"step", std::to_string(step)},
                       {"examples", std::to_string(examples)},
                       {"minutes", exact_text(minutes)},
                       {"optimizer_step", std::to_string(updates)}};
  write_safetensors(file, contents);
}

void TrainingState::load(const fs::path& file) {
  const TensorFile contents = read_safetensors(file);
  const auto format = contents.metadata.find("format");
  if (format == contents.metadata.end() || format->second != kFormat) {
    throw WeightsError(file.string() + ": expected a checkpoint of a training run, found other tensors");
  }
  TensorFile weights;
  std::map<std::string, at::Tensor> others;
  for (const NamedTensor& entry : contents.tensors) {
    if (entry.name.starts_with("network/")) {
      weights.tensors.push_back({entry.name.substr(8), entry.tensor});
    } else {
      others.emplace(entry.name, entry.tensor);
    }
  }
  const auto find = [&](const std::string& name, const at::Tensor& like) {
    const auto found = others.find(name);
    if (found == others.end() || found->second.sizes() != like.sizes()) {
      throw WeightsError(file.string() + ": checkpoint of other trained parameters: \"" + name + "\" is " +
                         (found == others.end() ? "missing" : "of another shape"));
    }
    return found->second;
  };
  for (const Parameter& parameter : parameters_) {
    for (const char* kind : {"average/", "mean/", "square/"}) find(kind + parameter.name, parameter.value);
  }
  if (others.size() != 3 * parameters_.size()) {
    throw WeightsError(file.string() + ": checkpoint of other trained parameters: expected " +
                       std::to_string(3 * parameters_.size()) + " tensors beside the network, found " +
                       std::to_string(others.size()));
  }
  const int64_t updates = number_in<int64_t>(contents, "optimizer_step", file);
  const int64_t saved_step = number_in<int64_t>(contents, "step", file);
  const int64_t saved_examples = number_in<int64_t>(contents, "examples", file);
  const double saved_minutes = number_in<double>(contents, "minutes", file);
  load_weights(*network_, weights, file.string());

  const at::NoGradGuard no_gradients;
  for (Parameter& parameter : parameters_) {
    parameter.average.copy_(find("average/" + parameter.name, parameter.value));
    auto& kept = moments(parameter.value);
    kept.exp_avg().copy_(find("mean/" + parameter.name, parameter.value));
    kept.exp_avg_sq().copy_(find("square/" + parameter.name, parameter.value));
    kept.step(updates);
  }
  step = saved_step;
  examples = saved_examples;
  minutes = saved_minutes;
}

void TrainingState::export_average(const fs::path& file) const {
  TensorFile contents = module_weights(*network_, at::kHalf);
  for (NamedTensor& entry : contents.tensors) {
    const auto trained =
        std::find_if(parameters_.begin(), parameters_.end(),
                     [&](const Parameter& parameter) { return parameter.name == entry.name; });
    if (trained != parameters_.end()) entry.tensor = trained->average.to(at::kCPU, at::kHalf);
  }
  contents.metadata = {
      {"format", "pt"}, {"step", std::to_string(step)}, {"examples", std::to_string(examples)}};
  write_safetensors(file, contents);
}

}  // namespace hqtrack
