#include "train/replicas.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "core/threads.h"

namespace hqtrack {
namespace {

/// By hand, as there may be no gradient yet.
void clear_gradients(const std::vector<at::Tensor>& parameters) {
  for (at::Tensor parameter : parameters) parameter.mutable_grad() = at::Tensor();
}

StepLoss mean_of(const std::vector<StepLoss>& losses) {
  StepLoss mean{{}, 0, 0, 0};
  int64_t with_iou = 0;
  for (const StepLoss& loss : losses) {
    mean.loss += loss.loss / static_cast<double>(losses.size());
    mean.auxiliary += loss.auxiliary / static_cast<double>(losses.size());
    if (loss.iou < 0) continue;
    mean.iou += loss.iou;
    ++with_iou;
  }
  mean.iou = with_iou > 0 ? mean.iou / static_cast<double>(with_iou) : -1;
  return mean;
}

}  // namespace

Replicas::Replicas(std::vector<std::unique_ptr<TrainingTask>> tasks) : tasks_(std::move(tasks)) {
  TORCH_CHECK(!tasks_.empty(), "replicas: expected at least one task, found none");
  for (const auto& task : tasks_) {
    std::vector<at::Tensor>& parameters = parameters_.emplace_back();
    for (const at::Tensor& parameter : task->network()->parameters()) parameters.push_back(parameter);
    TORCH_CHECK(parameters.size() == parameters_.front().size(),
                "replicas: expected one network, found several");
  }
}

void Replicas::start(int64_t first_batch) {
  for (auto& parameters : parameters_) {
    for (size_t p = 0; p < parameters.size(); ++p) {
      parameters[p].set_requires_grad(parameters_.front()[p].requires_grad());
    }
  }
  for (int64_t i = 0; i < size(); ++i) tasks_[static_cast<size_t>(i)]->start(first_batch + i, size());
}

StepLoss Replicas::backward(int64_t first_batch, int64_t step, double progress) {
  copy_parameters();
  std::vector<StepLoss> losses(tasks_.size());
  std::vector<std::exception_ptr> failures(tasks_.size());
  const int threads = std::max(1, at::get_num_threads() / static_cast<int>(tasks_.size()));
  const auto learn = [&](size_t i) {
    try {
      if (tasks_.size() > 1) set_threads(threads, threads);
      const c10::OptionalDeviceGuard guard(parameters_[i].front().device());
      losses[i] = tasks_[i]->next_loss(first_batch + static_cast<int64_t>(i), step, progress);
      losses[i].total.backward();
      losses[i].total = at::Tensor();
    } catch (...) {
      failures[i] = std::current_exception();
    }
  };
  if (tasks_.size() == 1) {
    learn(0);
  } else {
    std::vector<std::jthread> workers;
    for (size_t i = 0; i < tasks_.size(); ++i) workers.emplace_back([&learn, i] { learn(i); });
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  average_gradients();
  return mean_of(losses);
}

void Replicas::copy_parameters() {
  const at::NoGradGuard no_gradients;
  for (size_t i = 1; i < tasks_.size(); ++i) {
    clear_gradients(parameters_[i]);
    for (size_t p = 0; p < parameters_[i].size(); ++p) {
      parameters_[i][p].copy_(parameters_.front()[p], /*non_blocking=*/true);
    }
  }
}

void Replicas::average_gradients() {
  if (tasks_.size() == 1) return;
  const at::NoGradGuard no_gradients;
  for (size_t p = 0; p < parameters_.front().size(); ++p) {
    at::Tensor parameter = parameters_.front()[p];
    for (size_t i = 1; i < tasks_.size(); ++i) {
      const at::Tensor gradient = parameters_[i][p].grad();
      if (!gradient.defined()) continue;
      if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
      parameter.mutable_grad().add_(gradient.to(parameter.device()));
    }
    if (parameter.grad().defined()) parameter.mutable_grad().div_(static_cast<double>(tasks_.size()));
  }
}

}  // namespace hqtrack
