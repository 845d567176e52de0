#include "pipeline/memory_plan.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "refiner/hq_sam.h"
#include "tests/support/golden.h"
#include "tracker/vmos.h"

namespace hqtrack {
namespace {

constexpr int64_t kMiB = 1 << 20, kProgram = 200 * kMiB;  // as large as the program is
const c10::Device kCpu(c10::kCPU);
const RunSize kSize{.height = 1080, .width = 1920, .num_objects = 10, .num_videos = 1};

Config nano() { return load_config(testing::repository_root() / "configs" / "nano.yaml", {"refine=always"}); }

MemoryNeeds needs(const MemoryPlan& plan, const RunSize& size) { return memory_needs(plan, size, kCpu, 0); }
MemoryPlan plan_of(const Config& config) { return {.config = config, .staging = {}, .needs = {}}; }

/// "expected at least 300 MiB" -> 300.
int64_t least_mib(const Config& config, const RunSize& size) {
  try {
    plan_memory(config, size, kCpu, kMiB, kProgram);
  } catch (const DeviceError& error) {
    const std::string text = error.what(), before = "expected at least ";
    EXPECT_NE(text.find("1920x1080 and 10 objects, found 1 MiB"), std::string::npos) << text;
    return std::stoll(text.substr(text.find(before) + before.size()));
  }
  ADD_FAILURE() << "1 MiB is enough";
  return 0;
}

TEST(MemoryPlan, ChangesNothingThatFits) {
  const MemoryPlan plan = plan_memory(nano(), kSize, kCpu, 16384 * kMiB, kProgram);
  EXPECT_TRUE(plan.changes.empty());
  EXPECT_EQ(plan.staging.queue_frames, 3U);
  EXPECT_FALSE(plan.staging.is_serial);
  EXPECT_FALSE(plan.gives_back_freed);
}

TEST(MemoryPlan, ChangesMasksLast) {
  const Config config = nano();
  const MemoryPlan whole = plan_memory(config, kSize, kCpu, 16384 * kMiB, kProgram);
  const int64_t most = whole.needs.total() / kMiB, least = least_mib(config, kSize);
  ASSERT_LT(least, most);
  size_t num_changes = 0;
  for (int64_t budget = most; budget > least; budget -= 5) {
    const MemoryPlan plan = plan_memory(config, kSize, kCpu, budget * kMiB, kProgram);
    EXPECT_LE(plan.needs.total(), budget * kMiB);
    EXPECT_GE(plan.changes.size(), num_changes) << budget;
    num_changes = plan.changes.size();
    const MemoryConfig &asked = config.tracker.memory, &found = plan.config.tracker.memory;
    const bool changes_masks =
        found.long_term_frames_8x < asked.long_term_frames_8x ||
        plan.config.tracker.preprocess.short_edge < config.tracker.preprocess.short_edge;
    if (changes_masks) EXPECT_TRUE(plan.staging.is_serial && plan.gives_back_freed) << budget;
    EXPECT_EQ(found.short_term_delay_frames, asked.short_term_delay_frames);
  }
  EXPECT_GE(num_changes, 5U);
  EXPECT_NO_THROW(plan_memory(config, kSize, kCpu, (least + 5) * kMiB, kProgram));
}

TEST(MemoryPlan, NeedsMoreForMoreOfAnything) {
  const MemoryPlan plan = plan_of(nano());
  const int64_t before = needs(plan, kSize).total();
  RunSize more = kSize;
  more.num_objects = 11;  // another engine
  EXPECT_GT(needs(plan, more).memory, needs(plan, kSize).memory);
  EXPECT_GT(needs(plan, more).total(), before);
  more = kSize;
  more.height *= 2;
  EXPECT_GT(needs(plan, more).frames, needs(plan, kSize).frames);
  EXPECT_GT(needs(plan, more).total(), before);
  MemoryPlan longer = plan;
  ++longer.config.tracker.memory.long_term_frames;
  EXPECT_GT(needs(longer, kSize).total(), before);
  RunSize without_video = kSize;
  without_video.num_videos = 0;
  EXPECT_EQ(needs(plan, without_video).video, 0);
  more = kSize;
  more.num_webm = 1;
  EXPECT_GT(needs(plan, more).video, needs(plan, kSize).video);
  longer = plan;
  longer.config.encode.codec = "libx265";
  EXPECT_GT(needs(longer, kSize).video, needs(plan, kSize).video);
}

TEST(MemoryPlan, KnowsTheWeightsOfALargeRefinerWithoutMakingIt) {
  Config config = nano();
  config.refiner.encoder = {
      .type = "vit", .widths = {96}, .depths = {7}, .heads = {4}, .windows = {4}, .global_blocks = {1, 6}};
  config.refiner.mode = "frame";
  config.refiner.image_size = 128;
  const auto bytes_of = [](const torch::nn::Module& module) {
    int64_t bytes = 0;
    for (const auto& each : module.parameters()) bytes += static_cast<int64_t>(each.nbytes());
    for (const auto& each : module.buffers()) bytes += static_cast<int64_t>(each.nbytes());
    return bytes;
  };
  const int64_t refiner = bytes_of(*HqSam(config.refiner)), tracker = bytes_of(*Vmos(config.tracker));
  RunSize size = kSize;
  const int64_t found = memory_needs(plan_of(config), size, c10::Device(c10::kCUDA, 0), 0).weights;
  EXPECT_NEAR(static_cast<double>(found), static_cast<double>(refiner + tracker),
              0.01 * static_cast<double>(refiner));
}

}  // namespace
}  // namespace hqtrack
