#include "train/replicas.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "core/error.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "tests/train/tiny_network.h"
#include "train/vmos_trainer.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

/// Loss of batch n: n times the weight squared, plus the bias; the third parameter is frozen. Remembers what
/// it was asked for.
class Parabola : public TrainingTask {
 public:
  explicit Parabola(std::vector<int64_t>& batches) : batches_(batches) {
    weight_ = module_->register_parameter("weight", at::tensor({2.0}));
    bias_ = module_->register_parameter("bias", at::tensor({1.0}));
    frozen_ = module_->register_parameter("frozen", at::tensor({5.0}));
  }
  std::shared_ptr<torch::nn::Module> network() override { return module_; }
  ParameterRole role_of(const std::string& parameter) const override {
    return parameter == "frozen" ? ParameterRole::kFrozen : ParameterRole::kTrained;
  }
  void start(int64_t first_batch, int64_t stride) override { next_ = first_batch, stride_ = stride; }
  StepLoss next_loss(int64_t batch_number, int64_t /*step*/, double /*progress*/) override {
    EXPECT_EQ(batch_number, std::exchange(next_, next_ + stride_));
    batches_.push_back(batch_number);
    if (batch_number == 99) throw MediaError("batch 99 is damaged");
    const double n = static_cast<double>(batch_number);
    StepLoss loss{(weight_ * weight_ * n + frozen_).sum(), n, 2 * n, batch_number == 3 ? -1 : n};
    if (batch_number == 3) loss.total = loss.total + bias_.sum();  // the others do not depend on it
    return loss;
  }
  at::Tensor weight_, bias_, frozen_;

 private:
  std::vector<int64_t>& batches_;
  std::shared_ptr<torch::nn::Module> module_ = std::make_shared<torch::nn::Module>();
  int64_t next_ = 0, stride_ = 0;
};

TEST(Replicas, AverageTheGradientsOfConsecutiveBatches) {
  std::vector<int64_t> batches[3];
  std::vector<std::unique_ptr<TrainingTask>> tasks;
  std::vector<Parabola*> parabolas;
  for (auto& asked : batches) {
    auto task = std::make_unique<Parabola>(asked);
    parabolas.push_back(task.get());
    tasks.push_back(std::move(task));
  }
  Replicas replicas(std::move(tasks));
  parabolas[0]->frozen_.set_requires_grad(false);
  replicas.start(1);
  for (const Parabola* parabola : parabolas) EXPECT_FALSE(parabola->frozen_.requires_grad());
  for (const double weight : {2.0, 3.0}) {
    const int64_t first = weight == 2.0 ? 1 : 4;
    {
      const at::NoGradGuard no_gradients;
      parabolas[0]->weight_.fill_(weight);
    }
    for (const at::Tensor& parameter : {parabolas[0]->weight_, parabolas[0]->bias_})
      parameter.mutable_grad() = at::Tensor();
    const StepLoss loss = replicas.backward(first, 0, 0);
    const double mean = static_cast<double>(first) + 1;
    EXPECT_DOUBLE_EQ(loss.loss, mean);
    EXPECT_DOUBLE_EQ(loss.auxiliary, 2 * mean);
    EXPECT_DOUBLE_EQ(loss.iou, first == 1 ? 1.5 : 5);  // batch 3 has none
    EXPECT_DOUBLE_EQ(parabolas[0]->weight_.grad().item<double>(), 2 * weight * mean);
    for (const Parabola* parabola : parabolas) EXPECT_EQ(parabola->weight_.item<double>(), weight);
    const at::Tensor of_bias = parabolas[0]->bias_.grad();
    ASSERT_EQ(of_bias.defined(), first == 1);
    if (first == 1) {
      EXPECT_DOUBLE_EQ(of_bias.item<double>(), 1.0 / 3);
    }
    EXPECT_FALSE(parabolas[0]->frozen_.grad().defined());
  }
  EXPECT_EQ(batches[0], (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(batches[1], (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(batches[2], (std::vector<int64_t>{3, 6}));
}

TEST(Replicas, HandOnAnErrorOfAnyOfThem) {
  std::vector<int64_t> batches[2];
  std::vector<std::unique_ptr<TrainingTask>> tasks;
  for (auto& asked : batches) tasks.push_back(std::make_unique<Parabola>(asked));
  Replicas replicas(std::move(tasks));
  replicas.start(98);
  EXPECT_THROW(replicas.backward(98, 0, 0), MediaError);
}

// Two devices with batches of one clip: the weights are used together, and a resumed run sees the clips that
// the whole one saw.
TEST(Replicas, TrainTheTrackerTogetherAndGoOnAfterAnInterruption) {
  const testing::TemporaryFolder folder;
  Config config = testing::tiny_config();
  config.train.batch_size = 1;
  config.train.num_steps = 6;
  const testing::TinyClips clips(config.train.clip_frames);
  const auto train = [&](const fs::path& out, bool resume, int64_t stop_after) {
    std::stop_source stop;
    TrainingRun run;
    run.folder = out;
    run.resume = resume;
    run.devices = {c10::kCPU, c10::kCPU};
    int64_t examples = 0;
    run.report = [&](const TrainingRecord& record) { examples = record.examples; };
    train_vmos(config, testing::StoppingClips(clips, stop, stop_after), run, stop.get_token());
    return examples;
  };
  EXPECT_EQ(train(folder.path() / "whole", false, 0), 12);
  EXPECT_LT(train(folder.path() / "parts", false, 7), 12);
  EXPECT_EQ(train(folder.path() / "parts", true, 0), 12);
  EXPECT_EQ(testing::read_bytes(folder.path() / "whole/weights.safetensors"),
            testing::read_bytes(folder.path() / "parts/weights.safetensors"));
}

}  // namespace
}  // namespace hqtrack
