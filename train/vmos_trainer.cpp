#include "train/vmos_trainer.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/weights/weights.h"
#include "train/batch_loader.h"
#include "train/clip_batch.h"
#include "train/clip_loss.h"
#include "train/frame_features.h"
#include "train/random.h"
#include "train/start_values.h"

namespace hqtrack {
namespace {

constexpr uint64_t kStepSeed = 0x57e9;  // keeps the draws of a step apart from those of the clips
constexpr int64_t kStartClips = 48;     // on whose pictures the start values are measured
constexpr std::string_view kEncoder = "encoder.";

bool is_encoder_weight(const NamedTensor& entry) { return entry.name.starts_with(kEncoder); }

class VmosTask : public TrainingTask {
 public:
  VmosTask(const Config& config, const ClipSource& clips, const TrainingRun& run, c10::Device device,
           bool is_first)
      : config_(config), clips_(clips), num_loader_threads_(run.num_loader_threads) {
    torch::manual_seed(static_cast<uint64_t>(config.train.seed));
    network_ = Vmos(config.tracker);
    if (is_first && !run.resume) start_network(run.initial_weights);
    network_->to(device);
    network_->train();
  }

  std::shared_ptr<torch::nn::Module> network() override { return network_.ptr(); }

  ParameterRole role_of(const std::string& parameter) const override {
    return parameter.starts_with(kEncoder) ? ParameterRole::kBackbone : ParameterRole::kTrained;
  }

  void start(int64_t first_batch, int64_t stride) override {
    loader_.emplace([this](int64_t number) { return clips_.example(number); }, config_.train.batch_size,
                    first_batch, num_loader_threads_, stride);
  }

  StepLoss next_loss(int64_t batch_number, int64_t step, double progress) override {
    const TrainingPhase phase = TrainingPhase::at(config_.train, step, progress);
    Random random(static_cast<uint64_t>(config_.train.seed) ^ kStepSeed, static_cast<uint64_t>(batch_number));
    const ClipBatch batch = make_batch(loader_->next(), config_.tracker.objects_per_engine, random);
    const ClipLoss loss = run_clips(network_, batch, config_.tracker, config_.train, phase, random);
    return {loss.total, loss.segmentation, loss.auxiliary, loss.iou};
  }

 private:
  /// `file` may hold the whole network, its encoder alone, or be none.
  void start_network(const std::filesystem::path& file) {
    TensorFile contents;
    if (!file.empty()) contents = read_weights(file);
    if (std::ranges::all_of(contents.tensors, is_encoder_weight)) {
      set_start_values(contents, file.string());
    } else {
      load_weights(*network_, contents, file.string(), kUnusedVmosWeights);
    }
  }

  void set_start_values(TensorFile& encoder, const std::string& source) {
    if (!encoder.tensors.empty()) {
      for (const NamedTensor& entry : module_weights(*network_).tensors) {
        if (!is_encoder_weight(entry)) encoder.tensors.push_back(entry);
      }
      load_weights(*network_, encoder, source, kUnusedVmosWeights);
    }
    std::vector<at::Tensor> images;
    for (int64_t i = 1; i <= kStartClips; ++i)
      images.push_back(clips_.example(-i).images);  // none is trained on
    hqtrack::set_start_values(network_, config_.tracker,
                              normalize_images(at::cat(images), config_.tracker.preprocess));
  }

  const Config& config_;
  const ClipSource& clips_;
  int64_t num_loader_threads_;
  Vmos network_{nullptr};
  std::optional<BatchLoader<Clip>> loader_;
};

}  // namespace

bool train_vmos(const Config& config, const ClipSource& clips, const TrainingRun& run, std::stop_token stop) {
  if (config.train.max_objects > config.tracker.objects_per_engine) {
    throw ConfigError("train.max_objects: expected at most tracker.objects_per_engine, " +
                      std::to_string(config.tracker.objects_per_engine) + ", found " +
                      std::to_string(config.train.max_objects));
  }
  const MakeTask make_task = [&](c10::Device device, bool is_first) {
    return std::make_unique<VmosTask>(config, clips, run, device, is_first);
  };
  return run_training(config.train, make_task, run, stop);
}

}  // namespace hqtrack
