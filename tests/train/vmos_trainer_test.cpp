#include "train/vmos_trainer.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "tests/train/tiny_network.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;
using testing::read_bytes;

struct Trained {
  std::vector<TrainingRecord> records;
  bool is_complete = false;
};

/// Trains in `folder`; asks for a stop after `stop_after` steps when that is not 0.
Trained train(const Config& config, const fs::path& folder, bool resume = false, int64_t stop_after = 0,
              int64_t threads = 1) {
  at::set_num_threads(1);
  const testing::TinyClips clips(config.train.clip_frames);
  std::stop_source stop;
  const testing::StoppingClips counted(clips, stop, stop_after * config.train.batch_size);
  Trained result;
  TrainingRun run;
  run.folder = folder;
  run.resume = resume;
  run.num_loader_threads = threads;
  run.report = [&](const TrainingRecord& record) { result.records.push_back(record); };
  result.is_complete = train_vmos(config, counted, run, stop.get_token());
  return result;
}

std::string error_of(const Config& config, const fs::path& folder, bool resume = false) {
  try {
    train(config, folder, resume);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(VmosTrainer, WritesWeightsLogAndPlot) {
  const testing::TemporaryFolder folder;
  const Trained trained = train(testing::tiny_config(), folder.path() / "run");
  EXPECT_TRUE(trained.is_complete);
  ASSERT_EQ(trained.records.size(), 1u);
  EXPECT_EQ(trained.records[0].step, 4);
  EXPECT_EQ(trained.records[0].examples, 8);
  EXPECT_GT(trained.records[0].loss, 0);
  for (const char* name : {"checkpoint.safetensors", "weights.safetensors", "log.csv", "log.svg"}) {
    EXPECT_TRUE(fs::exists(folder.path() / "run" / name)) << name;
  }
}

TEST(VmosTrainer, SameSeedGivesTheSameWeightsWithAnyNumberOfLoaders) {
  const testing::TemporaryFolder folder;
  train(testing::tiny_config(), folder.path() / "a");
  train(testing::tiny_config(), folder.path() / "b", false, 0, /*threads=*/3);
  EXPECT_EQ(read_bytes(folder.path() / "a/weights.safetensors"),
            read_bytes(folder.path() / "b/weights.safetensors"));
}

TEST(VmosTrainer, AnInterruptedRunContinuesAsIfItHadNotBeen) {
  const testing::TemporaryFolder folder;
  Config config = testing::tiny_config();
  config.train.num_steps = 7;
  train(config, folder.path() / "whole");
  const Trained first = train(config, folder.path() / "parts", false, /*stop_after=*/3);
  EXPECT_FALSE(first.is_complete);
  ASSERT_LT(first.records.back().step, 7);
  EXPECT_TRUE(train(config, folder.path() / "parts", /*resume=*/true).is_complete);
  EXPECT_EQ(read_bytes(folder.path() / "whole/weights.safetensors"),
            read_bytes(folder.path() / "parts/weights.safetensors"));
}

TEST(VmosTrainer, LearnsTheTinyClips) {
  const testing::TemporaryFolder folder;
  Config config = testing::tiny_config();
  config.train.num_steps = 60;
  config.train.learning_rate = 3e-3;
  config.train.hard_pixel_steps = 1000;
  const Trained trained = train(config, folder.path() / "run");
  ASSERT_EQ(trained.records.size(), 3u);
  EXPECT_LT(trained.records.back().loss, 0.8 * trained.records.front().loss);
}

TEST(VmosTrainer, StopsAtTheTimeLimit) {
  const testing::TemporaryFolder folder;
  Config config = testing::tiny_config();
  config.train.num_steps = 1000000;
  config.train.max_minutes = 1e-4;
  const Trained trained = train(config, folder.path() / "run");
  EXPECT_TRUE(trained.is_complete);
  EXPECT_GE(trained.records.back().minutes, 1e-4);
}

TEST(VmosTrainer, ValidatesWhatItExports) {
  const testing::TemporaryFolder folder;
  const testing::TinyClips clips(3);
  TrainingRun run;
  run.folder = folder.path() / "run";
  int64_t calls = 0;
  run.score_names = {"j_mean", "f_mean", "j_and_f"};
  run.validate = [&](const fs::path& weights) {
    EXPECT_TRUE(fs::exists(weights));
    ++calls;
    return std::vector{0.5, 0.7, 0.6};
  };
  train_vmos(testing::tiny_config(), clips, run, {});
  EXPECT_EQ(calls, 1);
  const auto records = read_training_log(run.folder / "log.csv", 3);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].scores, (std::vector{0.5, 0.7, 0.6}));
}

TEST(VmosTrainer, SaysWhatIsWrong) {
  const testing::TemporaryFolder folder;
  const fs::path run = folder.path() / "run";
  Config config = testing::tiny_config();
  EXPECT_EQ(error_of(config, run, /*resume=*/true),
            (run / "checkpoint.safetensors").string() + ": no checkpoint to resume from");
  train(config, run);
  EXPECT_EQ(error_of(config, run), run.string() + ": holds a training run; resume it or name another folder");
  config.train.max_objects = 4;
  EXPECT_EQ(error_of(config, run),
            "train.max_objects: expected at most tracker.objects_per_engine, 3, found 4");
  config = testing::tiny_config();
  config.tracker.propagation_16x.width = 24;
  EXPECT_NE(error_of(config, run, /*resume=*/true).find("checkpoint.safetensors"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack
