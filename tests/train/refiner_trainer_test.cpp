#include "train/refiner_trainer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/weights/safetensors.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam.h"
#include "refiner/hq_sam_weights.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "tests/train/tiny_refiner.h"
#include "train/refiner_validation.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using testing::read_bytes;
using testing::tiny_refiner_config;

/// Asks for a stop when still number `last` is drawn.
class StoppingStills : public StillSource {
 public:
  StoppingStills(std::stop_source& stop, int64_t last) : stop_(stop), last_(last) {}
  Still example(int64_t number) const override {
    if (number >= last_) stop_.request_stop();
    return stills_.example(number);
  }

 private:
  testing::TinyStills stills_;
  std::stop_source& stop_;
  int64_t last_;
};

struct Trained {
  std::vector<TrainingRecord> records;
  bool is_complete = false;
};

/// Trains in `run.folder`; asks for a stop after `stop_after` steps when that is not 0.
Trained train(const Config& config, TrainingRun run, int64_t stop_after = 0) {
  at::set_num_threads(1);
  std::stop_source stop;
  const StoppingStills stills(stop, stop_after > 0 ? stop_after * config.train.batch_size : 1 << 30);
  Trained result;
  run.report = [&](const TrainingRecord& record) { result.records.push_back(record); };
  result.is_complete = train_refiner(config, stills, run, stop.get_token());
  return result;
}

TrainingRun run_in(const fs::path& folder) {
  TrainingRun run;
  run.folder = folder;
  return run;
}

/// Weights of a network with random weights, exactly float16.
fs::path save_random_weights(const RefinerConfig& config, const fs::path& file) {
  torch::manual_seed(9);
  HqSam network(config);
  save_weights(*network, file, at::kHalf);
  return file;
}

/// Names of the tensors that differ between two files of weights.
std::vector<std::string> changed(const fs::path& before, const fs::path& after) {
  const TensorFile old = read_safetensors(before);
  std::vector<std::string> names;
  for (const NamedTensor& entry : read_safetensors(after).tensors) {
    const at::Tensor* const value = old.find(entry.name);
    if (value == nullptr || !value->equal(entry.tensor)) names.push_back(entry.name);
  }
  return names;
}

TEST(RefinerTrainer, TrainsAllButTheTrunk) {
  const testing::TemporaryFolder folder;
  const Config config = tiny_refiner_config();
  TrainingRun run = run_in(folder.path() / "run");
  run.initial_weights = save_random_weights(config.refiner, folder.path() / "start.safetensors");
  const Trained trained = train(config, run);
  EXPECT_TRUE(trained.is_complete);
  ASSERT_EQ(trained.records.size(), 1u);
  EXPECT_EQ(trained.records[0].examples, 8);
  const auto names = changed(run.initial_weights, run.folder / "weights.safetensors");
  EXPECT_GT(names.size(), 100u);
  for (const std::string& name : names) EXPECT_FALSE(is_trunk_weight(name)) << name;
}

TEST(RefinerTrainer, TrainsTheTrunkWhereItsLearningRateIsNotZero) {
  const testing::TemporaryFolder folder;
  Config config = tiny_refiner_config();
  config.train.encoder_learning_rate_ratio = 0.5;
  TrainingRun run = run_in(folder.path() / "run");
  run.initial_weights = save_random_weights(config.refiner, folder.path() / "start.safetensors");
  train(config, run);
  const auto names = changed(run.initial_weights, run.folder / "weights.safetensors");
  EXPECT_TRUE(std::any_of(names.begin(), names.end(), is_trunk_weight));
}

TEST(RefinerTrainer, HeadOnlyLeavesAllOfSamAsItIs) {
  const testing::TemporaryFolder folder;
  Config config = tiny_refiner_config();
  config.train.refiner.trained = "hq_head";
  RefinerConfig plain = config.refiner;
  plain.decoder.hq_branch = false;
  TrainingRun run = run_in(folder.path() / "run");
  run.initial_weights = save_random_weights(plain, folder.path() / "plain_sam.safetensors");
  train(config, run);
  const auto names = changed(run.initial_weights, run.folder / "weights.safetensors");
  EXPECT_GT(names.size(), 10u);  // those the plain SAM lacks
  for (const std::string& name : names) EXPECT_TRUE(is_hq_weight(name)) << name;
}

TEST(RefinerTrainer, HeadOnlyOfTheOtherEncoders) {
  const testing::TemporaryFolder folder;
  Config config = tiny_refiner_config();
  config.train.refiner.trained = "hq_head";
  config.train.num_steps = 1;
  config.train.batch_size = 1;
  const RefinerEncoderConfig vit{"vit", {24}, {3}, {2}, {4}, {1}};
  const RefinerEncoderConfig tiny_vit{"tiny_vit",   {8, 16, 16, 24}, {1, 1, 2, 1},
                                      {1, 2, 2, 3}, {1, 5, 4, 3},    {}};
  for (const RefinerEncoderConfig& encoder : {vit, tiny_vit}) {
    config.refiner.encoder = encoder;
    TrainingRun run = run_in(folder.path() / encoder.type);
    run.initial_weights =
        save_random_weights(config.refiner, folder.path() / (encoder.type + ".safetensors"));
    EXPECT_TRUE(train(config, run).is_complete);
    for (const std::string& name : changed(run.initial_weights, run.folder / "weights.safetensors"))
      EXPECT_TRUE(is_hq_weight(name)) << name;
  }
}

TEST(RefinerTrainer, TakesTheTrunkOfATracker) {
  const testing::TemporaryFolder folder;
  const Config config = tiny_refiner_config();
  const fs::path refiner = save_random_weights(config.refiner, folder.path() / "refiner.safetensors");
  TensorFile tracker;
  for (const NamedTensor& entry : read_safetensors(refiner).tensors) {
    if (is_trunk_weight(entry.name)) tracker.tensors.push_back({entry.name.substr(6), entry.tensor});
  }
  tracker.tensors.push_back({"mask_head.weight", at::zeros({2, 2})});
  TrainingRun run = run_in(folder.path() / "run");
  run.initial_weights = folder.path() / "tracker.safetensors";
  write_safetensors(run.initial_weights, tracker);
  train(config, run);
  for (const std::string& name : changed(refiner, run.folder / "weights.safetensors"))
    EXPECT_FALSE(is_trunk_weight(name)) << name;
}

TEST(RefinerTrainer, AnInterruptedRunContinuesAsIfItHadNotBeen) {
  const testing::TemporaryFolder folder;
  Config config = tiny_refiner_config();
  config.train.num_steps = 6;
  TrainingRun whole = run_in(folder.path() / "whole"), parts = run_in(folder.path() / "parts");
  whole.num_loader_threads = 2;
  train(config, whole);
  const Trained first = train(config, parts, /*stop_after=*/3);
  EXPECT_FALSE(first.is_complete);
  ASSERT_LT(first.records.back().step, 6);
  parts.resume = true;
  EXPECT_TRUE(train(config, parts).is_complete);
  EXPECT_EQ(read_bytes(whole.folder / "weights.safetensors"),
            read_bytes(parts.folder / "weights.safetensors"));
}

TEST(RefinerTrainer, LearnsTheTinyStills) {
  const testing::TemporaryFolder folder;
  Config config = tiny_refiner_config();
  config.train.num_steps = 60;
  config.train.learning_rate = 3e-3;
  const Trained trained = train(config, run_in(folder.path() / "run"));
  ASSERT_EQ(trained.records.size(), 3u);
  EXPECT_LT(trained.records.back().loss, 0.9 * trained.records.front().loss);
}

TEST(RefinerTrainer, MeasuresInitialAndExportedWeightsByKindOfPrompt) {
  const testing::TemporaryFolder folder;
  const Config config = tiny_refiner_config();
  RefinerValidation validation(config, at::kCPU);
  EXPECT_TRUE(validation.is_empty());
  validation.add("tiny", testing::TinyStills(), 2);
  EXPECT_EQ(validation.score_names(), (std::vector<std::string>{"tiny_box", "tiny_point", "tiny_mask"}));
  TrainingRun run = run_in(folder.path() / "run");
  run.initial_weights = save_random_weights(config.refiner, folder.path() / "start.safetensors");
  run.score_names = validation.score_names();
  run.validate = [&](const fs::path& weights) { return validation.measure(weights); };
  train(config, run);
  const auto records = read_training_log(run.folder / "log.csv", 3);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].step, 0);
  ASSERT_EQ(records[0].scores.size(), 3u);
  ASSERT_EQ(records[2].scores.size(), 3u);
  const std::vector<double> again = validation.measure(run.folder / "weights.safetensors");
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GE(again[i], 0);
    EXPECT_LE(again[i], 1);
    EXPECT_NEAR(records[2].scores[i], again[i], 1e-5);
  }
}

TEST(RefinerTrainer, SaysWhatIsWrong) {
  const testing::TemporaryFolder folder;
  Config config = tiny_refiner_config();
  TrainingRun run = run_in(folder.path() / "run");
  run.initial_weights = folder.path() / "tracker.safetensors";
  TensorFile other;
  other.tensors.push_back({"head.weight", at::zeros({2, 2})});
  write_safetensors(run.initial_weights, other);
  EXPECT_THROW(train(config, run), WeightsError);
  config.train.refiner.trained = "hq_head";
  config.refiner.decoder.hq_branch = false;
  EXPECT_THROW(train(config, run_in(folder.path() / "run")), ConfigError);
}

}  // namespace
}  // namespace hqtrack
