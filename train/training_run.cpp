#include "train/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <optional>

#include "core/error.h"
#include "core/weights/weights.h"
#include "train/plot.h"
#include "train/replicas.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kLogSteps = 20;
constexpr int64_t kMostFailures = 20;

/// Linear warm-up, then a cosine down to the final ratio.
double learning_rate_at(const TrainConfig& config, int64_t steps_since_start, double progress) {
  const double warm = config.warmup_steps > 0 ? std::min(1.0, static_cast<double>(steps_since_start + 1) /
                                                                  static_cast<double>(config.warmup_steps))
                                              : 1.0;
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(progress, 0.0, 1.0)));
  return config.learning_rate * warm *
         (config.final_learning_rate_ratio + (1 - config.final_learning_rate_ratio) * cosine);
}

/// Sums until the next line of the log.
class Means {
 public:
  void add(const StepLoss& loss, double gradient_norm) {
    loss_ += loss.loss;
    auxiliary_ += loss.auxiliary;
    norm_ += gradient_norm;
    ++steps_;
    if (loss.iou >= 0) {
      iou_ += loss.iou;
      ++with_iou_;
    }
  }
  bool is_empty() const { return steps_ == 0; }

  TrainingRecord take(const TrainingState& state, double learning_rate) {
    const double n = static_cast<double>(std::max<int64_t>(steps_, 1));
    TrainingRecord record{
        state.step, state.minutes,  state.examples,
        loss_ / n,  auxiliary_ / n, with_iou_ > 0 ? iou_ / static_cast<double>(with_iou_) : -1,
        norm_ / n,  learning_rate,  {}};
    *this = {};
    return record;
  }

 private:
  double loss_ = 0, auxiliary_ = 0, iou_ = 0, norm_ = 0;
  int64_t steps_ = 0, with_iou_ = 0;
};

fs::path checkpoint_file(const TrainingRun& run) { return run.folder / "checkpoint.safetensors"; }

std::vector<std::unique_ptr<TrainingTask>> make_tasks(const MakeTask& make_task,
                                                      const std::vector<c10::Device>& devices) {
  std::vector<std::unique_ptr<TrainingTask>> tasks;
  for (const c10::Device& device : devices) tasks.push_back(make_task(device, tasks.empty()));
  return tasks;
}

class Loop {
 public:
  Loop(const TrainConfig& config, const MakeTask& make_task, const TrainingRun& run)
      : config_(config),
        run_(run),
        replicas_(make_tasks(make_task, run.devices)),
        state_(replicas_.first().network(), config,
               [&](const std::string& name) { return replicas_.first().role_of(name); }) {
    std::error_code error;
    fs::create_directories(run.folder, error);
    if (error) throw OutputError(run.folder.string() + ": cannot make the folder: " + error.message());
    check_start(run);
    if (run.resume) state_.load(checkpoint_file(run));
    log_.emplace(run.folder / "log.csv", state_.step, run.score_names);
    replicas_.start(batch_number());
    last_checkpoint_minutes_ = state_.minutes;
  }

  bool train(const std::stop_token& stop) {
    const bool has_scores_to_beat = state_.step == 0 && !run_.initial_weights.empty() && run_.validate;
    if (has_scores_to_beat) checkpoint(/*validates=*/true);
    while (progress() < 1 && !stop.stop_requested()) {
      step();
      if (run_.on_step) run_.on_step(state_.step, state_.minutes, progress());
      if (state_.step % kLogSteps == 0) write_line();
      const bool is_due = state_.minutes - last_checkpoint_minutes_ >= config_.checkpoint_minutes;
      if (is_due && progress() < 1) checkpoint(/*validates=*/true);
    }
    const bool is_complete = progress() >= 1;
    checkpoint(is_complete);
    return is_complete;
  }

 private:
  double progress() const {
    if (config_.max_minutes > 0) return state_.minutes / config_.max_minutes;
    return static_cast<double>(state_.step) / static_cast<double>(config_.num_steps);
  }

  /// Batches used so far, those included whose gradients were not finite.
  int64_t batch_number() const { return state_.examples / config_.batch_size; }

  void step() {
    const auto start = std::chrono::steady_clock::now();
    const double progress_now = progress();
    learning_rate_ = learning_rate_at(config_, state_.step, progress_now);
    StepLoss loss;
    const double norm = state_.update(
        [&] { loss = replicas_.backward(batch_number(), state_.step, progress_now); }, learning_rate_);
    state_.examples += config_.batch_size * replicas_.size();
    if (std::isfinite(norm)) {
      means_.add(loss, norm);
      failures_ = 0;
    } else if (++failures_ >= kMostFailures) {
      throw Error(ExitCode::kInternal, "training: the gradients were not finite " +
                                           std::to_string(kMostFailures) + " times in a row, at step " +
                                           std::to_string(state_.step));
    }
    const std::chrono::duration<double, std::ratio<60>> spent = std::chrono::steady_clock::now() - start;
    state_.minutes += spent.count();
  }

  void write_line() {
    if (means_.is_empty()) return;
    add_to_log(means_.take(state_, learning_rate_));
  }

  void add_to_log(const TrainingRecord& record) {
    log_->add(record);
    if (run_.report) run_.report(record);
  }

  void checkpoint(bool validates) {
    write_line();
    const fs::path weights = run_.folder / "weights.safetensors";
    state_.export_average(weights);
    if (validates && run_.validate) {
      TrainingRecord record;
      record.step = state_.step;
      record.minutes = state_.minutes;
      record.examples = state_.examples;
      record.scores = run_.validate(weights);
      add_to_log(record);
    }
    state_.save(checkpoint_file(run_));
    write_training_plot(run_.folder / "log.svg", run_.score_names, log_->records());
    last_checkpoint_minutes_ = state_.minutes;
  }

  const TrainConfig& config_;
  const TrainingRun& run_;
  Replicas replicas_;
  TrainingState state_;
  std::optional<TrainingLog> log_;
  Means means_;
  double learning_rate_ = 0, last_checkpoint_minutes_ = 0;
  int64_t failures_ = 0;  // batches in a row whose gradients were not finite
};

}  // namespace

void check_start(const TrainingRun& run) {
  const fs::path checkpoint = checkpoint_file(run);
  if (run.resume && !fs::exists(checkpoint)) {
    throw WeightsError(checkpoint.string() + ": no checkpoint to resume from");
  }
  if (!run.resume && fs::exists(checkpoint)) {
    throw UsageError(run.folder.string() + ": holds a training run; resume it or name another folder");
  }
  if (!run.initial_weights.empty()) read_weights(run.initial_weights);
}

bool run_training(const TrainConfig& config, const MakeTask& make_task, const TrainingRun& run,
                  const std::stop_token& stop) {
  return Loop(config, make_task, run).train(stop);
}

}  // namespace hqtrack
