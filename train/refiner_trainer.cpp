#include "train/refiner_trainer.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam.h"
#include "refiner/hq_sam_weights.h"
#include "refiner/preprocess.h"
#include "train/batch_loader.h"
#include "train/random.h"
#include "train/refiner_loss.h"
#include "train/refiner_questions.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr uint64_t kQuestionSeed = 0x9e57;  // keeps these draws apart from those of the stills

/// A still and what is asked about it.
struct Lesson {
  Still still;
  std::vector<Questions> questions;
};

/// What `contents` lacks and `wanted` names stays as the network has it.
void fill_from_network(HqSam& network, TensorFile& contents, bool (*wanted)(const std::string&)) {
  for (const NamedTensor& entry : module_weights(*network).tensors) {
    if (wanted(entry.name) && contents.find(entry.name) == nullptr) contents.tensors.push_back(entry);
  }
}

void load_initial_weights(HqSam& network, const fs::path& file) {
  TensorFile contents = read_hq_sam_weights(file);
  if (TensorFile trunk = trunk_of_tracker(contents); !trunk.tensors.empty()) {
    fill_from_network(network, trunk, [](const std::string& name) { return !is_trunk_weight(name); });
    load_hq_sam_weights(network, trunk, file.string());
    return;
  }
  fill_from_network(network, contents, is_hq_weight);
  load_hq_sam_weights(network, contents, file.string());
}

at::Tensor on(at::Device device, const at::Tensor& tensor) {
  return tensor.defined() ? tensor.to(device) : tensor;
}

class RefinerTask : public TrainingTask {
 public:
  RefinerTask(const Config& config, const StillSource& stills, const TrainingRun& run, c10::Device device,
              bool is_first)
      : config_(config), stills_(stills), num_loader_threads_(run.num_loader_threads), device_(device) {
    torch::manual_seed(static_cast<uint64_t>(config.train.seed));
    network_ = HqSam(config.refiner);
    if (is_first && !run.initial_weights.empty()) load_initial_weights(network_, run.initial_weights);
    network_->to(device);
    network_->train();
    if (is_head_only()) weights_ = {.sum = 0, .hq = 1, .single = 0, .best = 0, .mean = 0, .predicted_iou = 0};
  }

  std::shared_ptr<torch::nn::Module> network() override { return network_.ptr(); }

  ParameterRole role_of(const std::string& parameter) const override {
    if (is_head_only()) return is_hq_weight(parameter) ? ParameterRole::kTrained : ParameterRole::kFrozen;
    return is_trunk_weight(parameter) ? ParameterRole::kBackbone : ParameterRole::kTrained;
  }

  void start(int64_t first_batch, int64_t stride) override {
    loader_.emplace([this](int64_t number) { return lesson(number); }, config_.train.batch_size, first_batch,
                    num_loader_threads_, stride);
  }

  StepLoss next_loss(int64_t /*batch_number*/, int64_t /*step*/, double /*progress*/) override {
    RefinerLoss sum;
    for (const Lesson& lesson : loader_->next()) add_loss(lesson, sum);
    const double prompts =
        static_cast<double>(config_.train.batch_size * config_.train.refiner.prompts_per_picture);
    return {sum.total / prompts, sum.masks / prompts, sum.estimate / prompts, sum.iou / prompts};
  }

 private:
  bool is_head_only() const { return config_.train.refiner.trained == "hq_head"; }

  Lesson lesson(int64_t number) const {
    Random random(static_cast<uint64_t>(config_.train.seed) ^ kQuestionSeed, static_cast<uint64_t>(number));
    Lesson lesson{stills_.example(number), {}};
    const GridSize size{lesson.still.labels.size(0), lesson.still.labels.size(1)};
    lesson.questions =
        random_questions(lesson.still, input_size(size, network_->input_form(), config_.refiner.image_size),
                         config_.train.refiner, random);
    return lesson;
  }

  void add_loss(const Lesson& lesson, RefinerLoss& sum) {
    const at::Tensor input =
        normalize_and_pad(lesson.still.image, network_->input_form(), config_.refiner.image_size);
    const ImageEmbedding image = network_->embed_image(on(device_, input));
    for (const Questions& questions : lesson.questions) {
      const Prompts& prompts = questions.prompts;
      const RawMasks masks = network_->decode(image, {.boxes = on(device_, prompts.boxes),
                                                      .points = on(device_, prompts.points),
                                                      .labels = on(device_, prompts.labels),
                                                      .masks = on(device_, prompts.masks)});
      const RefinerLoss loss = refiner_loss(masks, on(device_, questions.targets), weights_);
      sum.total = sum.total.defined() ? sum.total + loss.total : loss.total;
      sum.masks += loss.masks;
      sum.estimate += loss.estimate;
      sum.iou += loss.iou;
    }
  }

  const Config& config_;
  const StillSource& stills_;
  int64_t num_loader_threads_;
  at::Device device_;
  MaskWeights weights_;
  HqSam network_{nullptr};
  std::optional<BatchLoader<Lesson>> loader_;
};

}  // namespace

bool train_refiner(const Config& config, const StillSource& stills, const TrainingRun& run,
                   std::stop_token stop) {
  if (config.train.refiner.trained == "hq_head" && !config.refiner.decoder.hq_branch) {
    throw ConfigError("train.refiner.trained: expected all without refiner.decoder.hq_branch, found hq_head");
  }
  const MakeTask make_task = [&](c10::Device device, bool is_first) {
    return std::make_unique<RefinerTask>(config, stills, run, device, is_first);
  };
  return run_training(config.train, make_task, run, stop);
}

}  // namespace hqtrack
