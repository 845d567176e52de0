#include "train/vmos_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/weights/weights.h"
#include "train/clip_batch.h"
#include "train/clip_loader.h"
#include "train/clip_loss.h"
#include "train/plot.h"
#include "train/random.h"
#include "train/training_state.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kLogSteps = 20;
constexpr int64_t kMostFailures = 20;
constexpr uint64_t kStepSeed = 0x57e9;  // keeps the draws of a step apart from those of the clips

/// Linear warm-up, then a cosine down to the final ratio.
double learning_rate_at(const TrainConfig& config, int64_t steps_since_start, double progress) {
  const double warm = config.warmup_steps > 0 ? std::min(1.0, static_cast<double>(steps_since_start + 1) /
                                                                  static_cast<double>(config.warmup_steps))
                                              : 1.0;
  const double cosine = 0.5 * (1 + std::cos(3.14159265358979323846 * std::clamp(progress, 0.0, 1.0)));
  return config.learning_rate * warm *
         (config.final_learning_rate_ratio + (1 - config.final_learning_rate_ratio) * cosine);
}

/// Sums until the next line of the log.
class Means {
 public:
  void add(const ClipLoss& loss, double gradient_norm) {
    loss_ += loss.segmentation;
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
        state.step, state.minutes,  state.clips,
        loss_ / n,  auxiliary_ / n, with_iou_ > 0 ? iou_ / static_cast<double>(with_iou_) : -1,
        norm_ / n,  learning_rate,  std::nullopt};
    *this = {};
    return record;
  }

 private:
  double loss_ = 0, auxiliary_ = 0, iou_ = 0, norm_ = 0;
  int64_t steps_ = 0, with_iou_ = 0;
};

class Trainer {
 public:
  Trainer(const Config& config, const ClipSource& clips, const TrainingRun& run)
      : config_(config), run_(run), state_(make_network(config, run), config.train) {
    const fs::path checkpoint = checkpoint_file();
    if (run.resume) {
      if (!fs::exists(checkpoint)) throw WeightsError(checkpoint.string() + ": no checkpoint to resume from");
      state_.load(checkpoint);
    } else if (fs::exists(checkpoint)) {
      throw UsageError(run.folder.string() + ": holds a training run; resume it or name another folder");
    }
    log_.emplace(run.folder / "log.csv", state_.step);
    loader_.emplace(clips, config.train.batch_size, batch_number(), run.num_loader_threads);
    last_checkpoint_minutes_ = state_.minutes;
  }

  bool train(const std::stop_token& stop) {
    while (progress() < 1 && !stop.stop_requested()) {
      step();
      if (state_.step % kLogSteps == 0) write_line();
      const bool is_due = state_.minutes - last_checkpoint_minutes_ >= config_.train.checkpoint_minutes;
      if (is_due && progress() < 1) checkpoint(/*validates=*/true);
    }
    const bool is_complete = progress() >= 1;
    checkpoint(is_complete);
    return is_complete;
  }

 private:
  static Vmos make_network(const Config& config, const TrainingRun& run) {
    std::error_code error;
    fs::create_directories(run.folder, error);
    if (error) throw OutputError(run.folder.string() + ": cannot make the folder: " + error.message());
    torch::manual_seed(static_cast<uint64_t>(config.train.seed));
    Vmos network(config.tracker);
    if (!run.initial_weights.empty()) load_weights(*network, run.initial_weights, kUnusedVmosWeights);
    network->to(run.device);
    network->train();
    return network;
  }

  fs::path checkpoint_file() const { return run_.folder / "checkpoint.safetensors"; }

  double progress() const {
    if (config_.train.max_minutes > 0) return state_.minutes / config_.train.max_minutes;
    return static_cast<double>(state_.step) / static_cast<double>(config_.train.num_steps);
  }

  /// Batches used so far, those included whose gradients were not finite.
  int64_t batch_number() const { return state_.clips / config_.train.batch_size; }

  void step() {
    const auto start = std::chrono::steady_clock::now();
    const double progress_now = progress();
    const TrainingPhase phase = TrainingPhase::at(config_.train, state_.step, progress_now);
    learning_rate_ = learning_rate_at(config_.train, state_.step, progress_now);
    Random random(static_cast<uint64_t>(config_.train.seed) ^ kStepSeed,
                  static_cast<uint64_t>(batch_number()));
    const ClipBatch batch = make_batch(loader_->next(), config_.tracker.objects_per_engine, random);
    const ClipLoss loss = run_clips(state_.network(), batch, config_.tracker, config_.train, phase, random);
    const double norm = state_.update(loss.total, learning_rate_);
    state_.clips += batch.num_clips();
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
    const TrainingRecord record = means_.take(state_, learning_rate_);
    log_->add(record);
    if (run_.report) run_.report(record, progress());
  }

  void checkpoint(bool validates) {
    write_line();
    const fs::path weights = run_.folder / "weights.safetensors";
    state_.export_average(weights);
    if (validates && run_.validate) {
      TrainingRecord record;
      record.step = state_.step;
      record.minutes = state_.minutes;
      record.clips = state_.clips;
      record.validation = run_.validate(weights);
      log_->add(record);
      if (run_.report) run_.report(record, progress());
    }
    state_.save(checkpoint_file());
    write_training_plot(run_.folder / "log.svg", log_->records());
    last_checkpoint_minutes_ = state_.minutes;
  }

  const Config& config_;
  const TrainingRun& run_;
  TrainingState state_;
  std::optional<TrainingLog> log_;
  std::optional<ClipLoader> loader_;
  Means means_;
  double learning_rate_ = 0, last_checkpoint_minutes_ = 0;
  int64_t failures_ = 0;  // batches in a row whose gradients were not finite
};

}  // namespace

bool train_vmos(const Config& config, const ClipSource& clips, const TrainingRun& run, std::stop_token stop) {
  if (config.train.max_objects > config.tracker.objects_per_engine) {
    throw ConfigError("train.max_objects: expected at most tracker.objects_per_engine, " +
                      std::to_string(config.tracker.objects_per_engine) + ", found " +
                      std::to_string(config.train.max_objects));
  }
  return Trainer(config, clips, run).train(stop);
}

}  // namespace hqtrack
