#include "train/clip_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "tests/train/tiny_network.h"
#include "train/batch_loader.h"

namespace hqtrack {
namespace {

ClipBatch make_tiny_batch(int64_t num_frames) {
  const testing::TinyClips clips(num_frames);
  Random random(1);
  return make_batch({clips.example(0), clips.example(1)}, 3, random);
}

struct Runner {
  Config config = testing::tiny_config();
  Vmos network{nullptr};
  TrainingPhase phase{1.0, 0.3, 0.5};

  Runner() {
    at::manual_seed(5);
    network = Vmos(config.tracker);
  }
  ClipLoss run(const ClipBatch& batch, uint64_t seed = 1) {
    Random random(seed);
    return run_clips(network, batch, config.tracker, config.train, phase, random);
  }
};

TEST(ClipBatch, GivesEveryObjectASlotOfItsOwn) {
  const testing::TinyClips clips(2);
  std::set<int64_t> used;
  int silent = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const Clip clip = clips.example(static_cast<int64_t>(seed));
    const ClipBatch batch = make_batch({clip}, 3, random);
    const std::set<int64_t> slots(batch.slots[0].begin(), batch.slots[0].end());
    ASSERT_EQ(static_cast<int64_t>(slots.size()), clip.num_objects);
    used.insert(slots.begin(), slots.end());
    EXPECT_GE(*slots.begin(), 1);
    EXPECT_LE(*slots.rbegin(), 3);
    EXPECT_TRUE(batch.valid[0][0].item<bool>());
    for (size_t i = 0; i < batch.slots[0].size(); ++i) {
      EXPECT_TRUE(
          (clip.labels == static_cast<int64_t>(i) + 1).equal(batch.labels.select(1, 0) == batch.slots[0][i]));
      EXPECT_TRUE(batch.valid[0][batch.slots[0][i]].item<bool>());
    }
    silent += batch.valid[0].sum().item<int64_t>() > 1 + clip.num_objects;
  }
  EXPECT_EQ(used, (std::set<int64_t>{1, 2, 3}));
  EXPECT_GT(silent, 0);
}

TEST(ClipBatch, KeepsUnknownPixelsAndPutsFramesFirst) {
  const testing::TinyClips clips(2);
  Clip clip = clips.example(0);
  clip.labels[1][0][0] = 255;
  Random random(1);
  const ClipBatch batch = make_batch({clip, clips.example(1)}, 3, random);
  EXPECT_EQ(batch.images.sizes(), (std::vector<int64_t>{2, 2, 33, 33, 3}));
  EXPECT_TRUE(batch.images[1][0].equal(clip.images[1]));
  EXPECT_EQ(batch.labels[1][0][0][0].item<int64_t>(), 255);
}

TEST(ClipBatch, RejectsMoreObjectsThanSlots) {
  Clip clip = testing::TinyClips(2).example(0);
  clip.num_objects = 4;
  Random random(1);
  EXPECT_THROW(make_batch({clip}, 3, random), c10::Error);
}

TEST(BatchLoader, KeepsTheOrderWithManyThreads) {
  const testing::TinyClips clips(2);
  BatchLoader<Clip> loader([&](int64_t number) { return clips.example(number); }, 3, /*first_batch=*/5,
                           /*num_threads=*/4);
  for (int64_t batch = 5; batch < 12; ++batch) {
    const std::vector<Clip> got = loader.next();
    ASSERT_EQ(got.size(), 3u);
    for (int64_t i = 0; i < 3; ++i)
      EXPECT_TRUE(got[i].images.equal(clips.example(batch * 3 + i).images)) << batch;
  }
}

TEST(BatchLoader, HandsOnTheErrorOfItsSource) {
  struct Failing : ClipSource {
    Clip example(int64_t) const override { throw std::runtime_error("no clip"); }
  };
  const Failing clips;
  BatchLoader<Clip> loader([&](int64_t number) { return clips.example(number); }, 2, 0, 2);
  EXPECT_THROW(loader.next(), std::runtime_error);
}

TEST(ClipLoss, TrainsEveryPartButTheBackbone) {
  Runner runner;
  for (auto& item : runner.network->named_parameters()) {
    if (item.key().starts_with("encoder.")) item.value().requires_grad_(false);
  }
  const ClipLoss loss = runner.run(make_tiny_batch(3));
  loss.total.backward();
  EXPECT_GT(loss.segmentation, 0);
  EXPECT_GT(loss.auxiliary, 0);
  EXPECT_NEAR(loss.total.item<double>(), loss.segmentation + 0.3 * loss.auxiliary, 1e-5);
  for (const auto& item : runner.network->named_parameters()) {
    if (item.key().starts_with("encoder.")) {
      EXPECT_FALSE(item.value().grad().defined()) << item.key();
    } else {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
    }
  }
}

TEST(ClipLoss, EncoderIsTrainedWhenItHasALearningRate) {
  Runner runner;
  runner.config.train.encoder_learning_rate_ratio = 0.1;
  runner.run(make_tiny_batch(2)).total.backward();
  for (const auto& item : runner.network->named_parameters()) {
    EXPECT_TRUE(item.value().grad().defined()) << item.key();
  }
}

// With two frames only the reference is remembered: damage would show in the loss.
TEST(ClipLoss, DamageNeverTouchesTheReference) {
  Runner runner;
  const ClipBatch two = make_tiny_batch(2);
  runner.config.train.memory_damage = 0;
  const double clean = runner.run(two).segmentation;
  runner.config.train.memory_damage = 1;
  EXPECT_EQ(runner.run(two).segmentation, clean);
}

TEST(ClipLoss, DamageChangesWhatIsRemembered) {
  Runner runner;
  runner.phase.teacher_forcing = 1;
  const ClipBatch three = make_tiny_batch(3);
  const at::Tensor labels = three.labels.clone();
  runner.config.train.memory_damage = 0;
  const double clean = runner.run(three).segmentation;
  runner.config.train.memory_damage = 1;
  EXPECT_NE(runner.run(three).segmentation, clean);
  EXPECT_TRUE(three.labels.equal(labels)) << "the true labels were damaged";
}

TEST(ClipLoss, SameDrawsGiveTheSameLoss) {
  Runner runner;
  const ClipBatch batch = make_tiny_batch(4);
  EXPECT_EQ(runner.run(batch, 3).total.item<float>(), runner.run(batch, 3).total.item<float>());
}

TEST(TrainingPhase, HardensAndFades) {
  TrainConfig config;
  config.hard_pixel_steps = 100;
  config.hard_pixel_ratio = 0.2;
  const TrainingPhase first = TrainingPhase::at(config, 0, 0), middle = TrainingPhase::at(config, 50, 0.5);
  EXPECT_EQ(first.hard_pixel_ratio, 1);
  EXPECT_EQ(first.auxiliary_weight, config.auxiliary_weight);
  EXPECT_NEAR(middle.hard_pixel_ratio, 0.6, 1e-12);
  EXPECT_NEAR(TrainingPhase::at(config, 500, 1).hard_pixel_ratio, 0.2, 1e-12);
  EXPECT_NEAR(TrainingPhase::at(config, 500, 1).teacher_forcing, 0.3 * config.teacher_forcing, 1e-12);
}

}  // namespace
}  // namespace hqtrack
