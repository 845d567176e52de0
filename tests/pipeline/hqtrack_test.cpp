#include "pipeline/hqtrack.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "core/config.h"
#include "core/error.h"
#include "core/weights/weights.h"
#include "pipeline/networks.h"
#include "pipeline/track_stage.h"
#include "refiner/hq_sam_weights.h"
#include "refiner/refiner.h"
#include "selector/select_masks.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHeight = 50, kWidth = 82;

Frame make_test_frame(int64_t index, int64_t height = kHeight, int64_t width = kWidth) {
  at::manual_seed(100 + index);
  return {
      .index = index, .pts_us = index * 40000, .image = at::randint(0, 256, {height, width, 3}, at::kByte)};
}

/// Two objects with a gap in their ids.
at::Tensor two_objects() {
  at::Tensor mask = at::zeros({kHeight, kWidth}, at::kByte);
  mask.slice(0, 5, 25).slice(1, 10, 40).fill_(3);
  mask.slice(0, 30, 45).slice(1, 50, 80).fill_(200);
  return mask;
}

at::Tensor one_object(int64_t id) {
  at::Tensor mask = at::zeros({kHeight, kWidth}, at::kByte);
  mask.slice(0, 0, 20).slice(1, 45, 75).fill_(id);
  return mask;
}

/// Area and box agree with the label mask, pixel by pixel.
void expect_objects_match_mask(const TrackedFrame& tracked) {
  int64_t area_of_all = 0;
  for (const TrackedObject& object : tracked.objects) {
    const at::Tensor places = at::nonzero(tracked.label_mask.eq(object.id));
    EXPECT_EQ(object.area_px, places.size(0)) << "object " << object.id;
    area_of_all += places.size(0);
    EXPECT_EQ(object.state == ObjectState::kLost, places.size(0) == 0) << "object " << object.id;
    if (places.size(0) == 0) {
      EXPECT_TRUE(object.box.is_empty());
      EXPECT_EQ(object.score, 0);
      continue;
    }
    const at::Tensor low = std::get<0>(places.min(0)), high = std::get<0>(places.max(0));
    EXPECT_EQ(object.box.y0, low[0].item<int64_t>());
    EXPECT_EQ(object.box.x0, low[1].item<int64_t>());
    EXPECT_EQ(object.box.y1, high[0].item<int64_t>() + 1);
    EXPECT_EQ(object.box.x1, high[1].item<int64_t>() + 1);
  }
  EXPECT_EQ(area_of_all, tracked.label_mask.count_nonzero().item<int64_t>())
      << "pixels of ids that are not listed";
}

class HqTrackTest : public ::testing::Test {
 protected:
  Config config(const std::vector<std::string>& overrides = {}) {
    return load_config(testing::write_tiny_model(folder_.path()), overrides);
  }
  testing::TemporaryFolder folder_;
};

TEST_F(HqTrackTest, StartsWithTheGivenMask) {
  HqTrack hqtrack(config(), "cpu");
  std::vector<ObjectPrompt> prompts = mask_prompts(two_objects());
  prompts[1].name = "ball";
  const TrackedFrame first = hqtrack.initialize(make_test_frame(0), prompts);
  EXPECT_TRUE(first.label_mask.equal(two_objects()));
  ASSERT_EQ(first.objects.size(), 2U);
  EXPECT_EQ(first.objects[0].id, 3);
  EXPECT_EQ(first.objects[0].name, "");
  EXPECT_EQ(first.objects[0].area_px, 600);
  EXPECT_EQ(first.objects[0].score, 1.0);
  EXPECT_EQ(first.objects[0].state, ObjectState::kTracked);
  EXPECT_EQ(first.objects[1].id, 200);
  EXPECT_EQ(first.objects[1].name, "ball");
  expect_objects_match_mask(first);
}

TEST_F(HqTrackTest, KeepsIdsAndDescribesEveryFrame) {
  HqTrack hqtrack(config(), "cpu");
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  for (int64_t i = 1; i < 8; ++i) {
    const TrackedFrame tracked = hqtrack.track(make_test_frame(i));
    EXPECT_EQ(tracked.frame.index, i);
    EXPECT_EQ(tracked.label_mask.sizes(), (at::IntArrayRef{kHeight, kWidth}));
    ASSERT_EQ(tracked.objects.size(), 2U);
    EXPECT_EQ(tracked.objects[0].id, 3);
    EXPECT_EQ(tracked.objects[1].id, 200);
    expect_objects_match_mask(tracked);
  }
}

TEST_F(HqTrackTest, EncodingAheadChangesNothing) {
  for (const std::string mode : {"frame", "objects"}) {
    const std::vector<std::string> settings{"tracker.search_region.mode=" + mode};
    HqTrack ahead(config(settings), "cpu"), plain(config(settings), "cpu");
    const std::vector<Frame> frames{make_test_frame(0), make_test_frame(1), make_test_frame(2),
                                    make_test_frame(3)};
    for (const int64_t i : {0, 1, 3}) ahead.encode_ahead(frames[i]);  // not the third
    EXPECT_TRUE(ahead.initialize(frames[0], mask_prompts(two_objects()))
                    .label_mask.equal(plain.initialize(frames[0], mask_prompts(two_objects())).label_mask));
    for (size_t i = 1; i < frames.size(); ++i) {
      const TrackedFrame found = ahead.track(frames[i]), expected = plain.track(frames[i]);
      EXPECT_TRUE(found.label_mask.equal(expected.label_mask)) << "frame " << i;
      ASSERT_EQ(found.objects.size(), expected.objects.size());
      for (size_t j = 0; j < found.objects.size(); ++j)
        EXPECT_EQ(found.objects[j].score, expected.objects[j].score);
    }
  }
}

TEST_F(HqTrackTest, SharedNetworksChangeNothing) {
  const auto networks = std::make_shared<Networks>(config({"refine=always"}), "cpu");
  std::vector<Frame> frames;
  for (int64_t i = 0; i < 6; ++i) frames.push_back(make_test_frame(i));
  const auto run = [&](const at::Tensor& mask) {
    HqTrack hqtrack(networks);
    std::vector<at::Tensor> labels = {hqtrack.initialize(frames[0], mask_prompts(mask)).label_mask};
    for (size_t i = 1; i < frames.size(); ++i) {
      labels.push_back(hqtrack.refine(hqtrack.track(frames[i])).label_mask);
    }
    return labels;
  };
  const auto expected_two = run(two_objects()), expected_one = run(one_object(7));
  std::vector<at::Tensor> two, one;
  {
    std::jthread first([&] { two = run(two_objects()); });
    std::jthread second([&] { one = run(one_object(7)); });
  }
  for (size_t i = 0; i < frames.size(); ++i) {
    EXPECT_TRUE(two[i].equal(expected_two[i])) << "frame " << i;
    EXPECT_TRUE(one[i].equal(expected_one[i])) << "frame " << i;
  }
}

TEST_F(HqTrackTest, TakesLostObjectsOutOfTheMask) {
  // No mean probability reaches 1 with random weights.
  HqTrack hqtrack(config({"tracker.states.uncertain_below=1", "tracker.states.lost_below=1"}), "cpu");
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  const TrackedFrame tracked = hqtrack.track(make_test_frame(1));
  EXPECT_EQ(tracked.label_mask.count_nonzero().item<int64_t>(), 0);
  for (const TrackedObject& object : tracked.objects) EXPECT_EQ(object.state, ObjectState::kLost);
  expect_objects_match_mask(tracked);
}

TEST_F(HqTrackTest, CallsDoubtfulObjectsUncertain) {
  HqTrack doubting(config({"tracker.states.uncertain_below=1"}), "cpu");
  HqTrack trusting(config(), "cpu");
  doubting.initialize(make_test_frame(0), mask_prompts(two_objects()));
  trusting.initialize(make_test_frame(0), mask_prompts(two_objects()));
  const TrackedFrame doubted = doubting.track(make_test_frame(1)),
                     trusted = trusting.track(make_test_frame(1));
  EXPECT_TRUE(doubted.label_mask.equal(trusted.label_mask));
  ASSERT_GT(trusted.label_mask.count_nonzero().item<int64_t>(), 0);
  for (size_t i = 0; i < trusted.objects.size(); ++i) {
    if (trusted.objects[i].area_px == 0) continue;
    EXPECT_EQ(trusted.objects[i].state, ObjectState::kTracked);
    EXPECT_EQ(doubted.objects[i].state, ObjectState::kUncertain);
  }
}

TEST_F(HqTrackTest, ScoresAreMappedAsConfigured) {
  HqTrack plain(config(), "cpu");
  HqTrack mapped(config({"tracker.states.score_scale=2", "tracker.states.score_offset=-0.5"}), "cpu");
  plain.initialize(make_test_frame(0), mask_prompts(two_objects()));
  mapped.initialize(make_test_frame(0), mask_prompts(two_objects()));
  const TrackedFrame expected = plain.track(make_test_frame(1)), found = mapped.track(make_test_frame(1));
  ASSERT_EQ(found.objects.size(), expected.objects.size());
  ASSERT_GT(expected.objects[0].score, 0);
  const ScoreMap map{.scale = 2, .offset = -0.5};
  EXPECT_DOUBLE_EQ(found.objects[0].score, map(expected.objects[0].score));
}

TEST_F(HqTrackTest, ReferenceCompatibilityKeepsEveryPixel) {
  HqTrack keeping(config({"tracker.compatibility=reference", "tracker.states.uncertain_below=1",
                          "tracker.states.lost_below=1"}),
                  "cpu");
  HqTrack plain(config({"tracker.compatibility=reference"}), "cpu");
  at::Tensor mask = two_objects();
  mask.masked_fill_(mask.eq(200), 4);
  keeping.initialize(make_test_frame(0), mask_prompts(mask));
  plain.initialize(make_test_frame(0), mask_prompts(mask));
  const TrackedFrame kept = keeping.track(make_test_frame(1));
  EXPECT_TRUE(kept.label_mask.equal(plain.track(make_test_frame(1)).label_mask));
  EXPECT_GT(kept.label_mask.count_nonzero().item<int64_t>(), 0);
}

TEST_F(HqTrackTest, AddsObjectsLater) {
  HqTrack hqtrack(config(), "cpu");
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  hqtrack.track(make_test_frame(1));
  const at::Tensor added = one_object(9);
  hqtrack.track(make_test_frame(2));
  const TrackedFrame tracked = hqtrack.add_object(mask_prompts(added)[0]);
  ASSERT_EQ(tracked.objects.size(), 3U);
  EXPECT_EQ(tracked.objects[1].id, 9);
  EXPECT_EQ(tracked.objects[1].score, 1.0);
  EXPECT_TRUE(tracked.label_mask.eq(9).equal(added.eq(9)));
  expect_objects_match_mask(tracked);
  EXPECT_EQ(hqtrack.track(make_test_frame(3)).objects.size(), 3U);
}

TEST_F(HqTrackTest, RefinesWithoutTellingTheTracker) {
  const Config refining = config({"refine=always", "selector.iou_threshold=0.02"});
  HqTrack hqtrack(refining, "cpu"), plain(config(), "cpu");
  EXPECT_TRUE(hqtrack.refines_frames());
  EXPECT_FALSE(plain.refines_frames());
  HqSam network(refining.refiner);
  load_hq_sam_weights(network, refining.refiner.weights);
  Refiner refiner(network, refining.refiner);
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  plain.initialize(make_test_frame(0), mask_prompts(two_objects()));
  int64_t num_refined = 0;
  for (int64_t i = 1; i < 5; ++i) {
    const TrackedFrame tracked = hqtrack.track(make_test_frame(i));
    EXPECT_TRUE(tracked.label_mask.equal(plain.track(make_test_frame(i)).label_mask)) << "frame " << i;
    const at::Tensor before = tracked.label_mask.clone();
    const Selection expected =
        select_masks(before, refiner.refine(tracked.frame.image, before), refining.selector);
    const TrackedFrame refined = hqtrack.refine(tracked);
    EXPECT_TRUE(refined.label_mask.equal(expected.label_mask)) << "frame " << i;
    expect_objects_match_mask(refined);
    for (const TrackedObject& object : refined.objects) {
      const auto verdict = std::ranges::find(expected.verdicts, object.id, &Verdict::id);
      ASSERT_EQ(object.choice.has_value(), verdict != expected.verdicts.end());
      if (!object.choice) continue;
      EXPECT_EQ(*object.choice, verdict->choice);
      num_refined += *object.choice == Choice::kRefined;
    }
  }
  EXPECT_GT(num_refined, 0) << "nothing was compared";
}

TEST_F(HqTrackTest, RefinesOnlyTheFramesOfTheSchedule) {
  HqTrack every_third(config({"refine=every:3"}), "cpu"), never(config(), "cpu");
  every_third.initialize(make_test_frame(0), mask_prompts(two_objects()));
  for (int64_t i = 1; i < 7; ++i) {
    const TrackedFrame tracked = every_third.track(make_test_frame(i));
    ASSERT_GT(tracked.label_mask.count_nonzero().item<int64_t>(), 0);
    const auto has_choice = [](const TrackedObject& object) { return object.choice.has_value(); };
    EXPECT_EQ(std::ranges::any_of(every_third.refine(tracked).objects, has_choice), i % 3 == 0)
        << "frame " << i;
    const TrackedFrame same = never.refine(tracked);
    EXPECT_FALSE(std::ranges::any_of(same.objects, has_choice));
    EXPECT_TRUE(same.label_mask.equal(tracked.label_mask));
  }
}

TEST_F(HqTrackTest, GivenMasksAreNotRefined) {
  HqTrack hqtrack(config({"refine=always", "selector.iou_threshold=0"}), "cpu");
  const TrackedFrame first =
      hqtrack.refine(hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects())));
  EXPECT_TRUE(first.label_mask.equal(two_objects()));
  for (const TrackedObject& object : first.objects) EXPECT_EQ(object.choice, Choice::kSkipped);
  const at::Tensor added = one_object(9);
  hqtrack.track(make_test_frame(1));
  const TrackedFrame later = hqtrack.refine(hqtrack.add_object(mask_prompts(added)[0]));
  EXPECT_TRUE(later.label_mask.eq(9).equal(added.eq(9)));
  for (const TrackedObject& object : later.objects) {
    if (!object.choice) continue;
    EXPECT_EQ(*object.choice, object.id == 9 ? Choice::kSkipped : Choice::kRefined);
  }
}

TEST_F(HqTrackTest, ARefinerNeedsWeights) {
  EXPECT_THROW(HqTrack(config({"refine=always", "refiner.weights=''"}), "cpu"), ConfigError);
  EXPECT_THROW(HqTrack(config({"refine=always", "refiner.weights=missing.safetensors"}), "cpu"),
               WeightsError);
  HqTrack(config({"refiner.weights=missing.safetensors"}), "cpu");  // not looked at
}

TEST_F(HqTrackTest, LeavesTheGivenMaskAlone) {
  HqTrack hqtrack(config(), "cpu");
  const at::Tensor mask = two_objects();
  TrackedFrame first = hqtrack.initialize(make_test_frame(0), mask_prompts(mask));
  hqtrack.track(make_test_frame(1));
  hqtrack.correct_object(mask_prompts(one_object(3))[0]);
  EXPECT_TRUE(mask.equal(two_objects()));
  EXPECT_TRUE(first.label_mask.equal(two_objects()));
}

TEST_F(HqTrackTest, RefusesWhatDoesNotFit) {
  const Config good = config();
  HqTrack hqtrack(good, "cpu");
  EXPECT_THROW(hqtrack.initialize(make_test_frame(0, kHeight, kWidth + 1), mask_prompts(two_objects())),
               MediaError);
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  EXPECT_THROW(hqtrack.track(make_test_frame(1, kHeight + 2, kWidth)), MediaError);
  EXPECT_THROW(hqtrack.add_object(mask_prompts(at::ones({kHeight, kWidth - 1}, at::kByte))[0]), MediaError);
  EXPECT_THROW(HqTrack(good, "gpu"), DeviceError);
  EXPECT_THROW(HqTrack(good, "cuda:99"), DeviceError);
  Config without_weights = good;
  without_weights.tracker.weights.clear();
  EXPECT_THROW(HqTrack(without_weights, "cpu"), ConfigError);
  Config missing_weights = good;
  missing_weights.tracker.weights += ".missing";
  EXPECT_THROW(HqTrack(missing_weights, "cpu"), WeightsError);
}

TEST_F(HqTrackTest, CorrectsOneObjectAndLeavesTheOthers) {
  HqTrack hqtrack(config(), "cpu");
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  const TrackedFrame before = hqtrack.track(make_test_frame(1));
  const at::Tensor corrected = one_object(3);
  const TrackedFrame after = hqtrack.correct_object(mask_prompts(corrected)[0]);
  EXPECT_EQ(after.frame.index, 1);
  EXPECT_TRUE(after.label_mask.eq(3).equal(corrected.eq(3)));  // the old pixels are gone
  const at::Tensor is_free = corrected.eq(0);
  EXPECT_TRUE(after.label_mask.eq(200).equal(before.label_mask.eq(200).logical_and(is_free)));
  EXPECT_EQ(after.objects[0].score, 1.0);
  ASSERT_EQ(after.prompts.size(), 1U);
  EXPECT_EQ(after.prompts[0].id, 3);
  expect_objects_match_mask(after);
  EXPECT_TRUE(hqtrack.track(make_test_frame(2)).prompts.empty());
}

TEST_F(HqTrackTest, RemovesObjectsAndTakesTheirIdsAgain) {
  HqTrack hqtrack(config(), "cpu");
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  hqtrack.track(make_test_frame(1));
  const TrackedFrame removed = hqtrack.remove_object(200);
  ASSERT_EQ(removed.objects.size(), 1U);
  EXPECT_FALSE(removed.label_mask.eq(200).any().item<bool>());
  const TrackedFrame next = hqtrack.track(make_test_frame(2));
  ASSERT_EQ(next.objects.size(), 1U);
  EXPECT_FALSE(next.label_mask.eq(200).any().item<bool>());
  EXPECT_EQ(hqtrack.add_object(mask_prompts(one_object(200))[0]).objects.size(), 2U);
}

TEST_F(HqTrackTest, RefusesEditsThatMakeNoSense) {
  HqTrack hqtrack(config(), "cpu");
  EXPECT_THROW(hqtrack.remove_object(3), Error);  // before anything was given
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  const TrackedFrame before = hqtrack.track(make_test_frame(1));
  const ObjectPrompt known = mask_prompts(one_object(3))[0], unknown = mask_prompts(one_object(9))[0];
  EXPECT_THROW(hqtrack.add_object(known), MediaError);
  EXPECT_THROW(hqtrack.correct_object(unknown), MediaError);
  EXPECT_THROW(hqtrack.remove_object(9), MediaError);
  EXPECT_THROW(hqtrack.remove_object(-1), MediaError);
  EXPECT_THROW(hqtrack.remove_object(256), MediaError);
  ObjectPrompt outside;
  outside.id = 9;
  outside.box = {-10, -10, 0, 5};
  EXPECT_THROW(hqtrack.add_object(outside), MediaError);
  const std::vector<PromptEdit> twice = {{PromptEdit::Action::kAdd, unknown},
                                         {PromptEdit::Action::kAdd, unknown}};
  EXPECT_THROW(hqtrack.edit(twice), MediaError);
  EXPECT_TRUE(hqtrack.edit({}).label_mask.equal(before.label_mask));  // nothing changed
}

TEST_F(HqTrackTest, BoxesAndPointsBecomeMasksOfTheRefiner) {
  const Config plain = config();  // refine: off
  HqTrack hqtrack(plain, "cpu");
  HqSam network(plain.refiner);
  load_hq_sam_weights(network, plain.refiner.weights);
  Refiner refiner(network, plain.refiner);
  std::vector<ObjectPrompt> prompts(2);
  prompts[0].id = 4;
  prompts[0].box = {10, 5, 40, 25};
  prompts[1].id = 6;
  prompts[1].points = {{60, 40}, {5, 5, false}};
  const Frame frame = make_test_frame(0);
  const std::vector<MaskProposal> expected = refiner.segment(frame.image, prompts);
  const TrackedFrame first = hqtrack.initialize(frame, prompts);
  const at::Tensor a = expected[0].logits, b = expected[1].logits;
  EXPECT_TRUE(first.label_mask.eq(4).equal(a.gt(0).logical_and(a.ge(b))));
  EXPECT_TRUE(first.label_mask.eq(6).equal(b.gt(0).logical_and(b.gt(a))));
  for (const TrackedObject& object : first.objects) EXPECT_EQ(object.choice, Choice::kRefined);
  expect_objects_match_mask(first);
}

TEST_F(HqTrackTest, PointsNearAnObjectCorrectItsMask) {
  const Config plain = config();
  HqTrack hqtrack(plain, "cpu");
  HqSam network(plain.refiner);
  load_hq_sam_weights(network, plain.refiner.weights);
  Refiner refiner(network, plain.refiner);
  const Frame frame = make_test_frame(0);
  for (const bool is_near : {true, false}) {
    hqtrack.initialize(frame, mask_prompts(two_objects()));
    ObjectPrompt prompt;
    prompt.id = 3;
    prompt.points = {is_near ? PromptPoint{12, 7} : PromptPoint{70, 4}};
    ObjectPrompt asked = prompt;
    if (is_near) asked.mask = two_objects().eq(3);
    const at::Tensor expected = refiner.segment(frame.image, std::vector{asked})[0].logits.gt(0);
    EXPECT_TRUE(hqtrack.correct_object(prompt).label_mask.eq(3).equal(expected)) << is_near;
  }
}

TEST_F(HqTrackTest, GoesOnFromASavedState) {
  const std::string file = (folder_.path() / "state.safetensors").string();
  HqTrack first(config(), "cpu"), second(config(), "cpu");
  EXPECT_THROW(first.save_state(file), Error);
  std::vector<ObjectPrompt> prompts = mask_prompts(two_objects());
  prompts[0].name = "cup";
  first.initialize(make_test_frame(0), prompts);
  for (int64_t i = 1; i < 4; ++i) first.track(make_test_frame(i));
  first.save_state(file);
  const TrackedFrame restored = second.restore_state(file);
  EXPECT_EQ(restored.frame.index, 3);
  EXPECT_EQ(restored.objects[0].name, "cup");
  EXPECT_TRUE(restored.frame.image.equal(make_test_frame(3).image));
  // Also what is changed in the frame given last.
  const ObjectPrompt added = mask_prompts(one_object(9))[0];
  EXPECT_TRUE(first.add_object(added).label_mask.equal(second.add_object(added).label_mask));
  for (int64_t i = 4; i < 8; ++i) {
    const TrackedFrame expected = first.track(make_test_frame(i)), found = second.track(make_test_frame(i));
    EXPECT_TRUE(found.label_mask.equal(expected.label_mask)) << "frame " << i;
    for (size_t j = 0; j < found.objects.size(); ++j) {
      EXPECT_EQ(found.objects[j].score, expected.objects[j].score);
    }
  }
  HqTrack other(config({"tracker.memory.interval_frames=2"}), "cpu");
  EXPECT_THROW(other.restore_state(file), WeightsError);
  EXPECT_THROW(second.restore_state(config().tracker.weights), WeightsError);
  EXPECT_TRUE(second.track(make_test_frame(8)).label_mask.equal(first.track(make_test_frame(8)).label_mask));
}

TEST_F(HqTrackTest, ADamagedStateIsRefused) {
  const fs::path file = folder_.path() / "state.safetensors";
  HqTrack hqtrack(config(), "cpu");
  hqtrack.initialize(make_test_frame(0), mask_prompts(two_objects()));
  hqtrack.save_state(file);
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  for (const std::streamoff place : {size / 3, size / 2, size - 1}) {
    hqtrack.save_state(file);
    {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(place);
      const char changed = static_cast<char>(stream.get() ^ 4);
      stream.seekp(place);
      stream.put(changed);
    }
    EXPECT_THROW(hqtrack.restore_state(file), WeightsError) << "byte " << place;
    EXPECT_NO_THROW(hqtrack.track(make_test_frame(1)));
  }
}

std::vector<TimedPrompt> at_frame(int64_t index, PromptEdit::Action action, const at::Tensor& label_mask) {
  std::vector<TimedPrompt> timed;
  for (ObjectPrompt& prompt : mask_prompts(label_mask)) {
    timed.push_back({{.frame_index = index}, {action, std::move(prompt)}});
  }
  return timed;
}

TEST_F(HqTrackTest, StageFollowsPromptsAtTheirMoments) {
  HqTrack hqtrack(config(), "cpu");
  using enum PromptEdit::Action;
  std::vector<TimedPrompt> prompts = at_frame(2, kAdd, two_objects());
  prompts.push_back({{.time_us = 130'000}, {kAdd, mask_prompts(one_object(9))[0]}});  // frame 4 is at 160 ms
  prompts.push_back({{.frame_index = 5}, {kRemove, prompts[0].edit.prompt}});
  prompts.push_back({{.frame_index = 5}, {kRemove, mask_prompts(one_object(77))[0]}});  // unknown: warned of
  prompts.push_back({{.frame_index = 50}, {kAdd, mask_prompts(one_object(1))[0]}});
  TrackStage stage(hqtrack, prompts);
  std::vector<size_t> num_objects;
  for (int64_t i = 0; i < 7; ++i) {
    const TrackedFrame tracked = stage(make_test_frame(i));
    EXPECT_EQ(tracked.frame.index, i);
    num_objects.push_back(tracked.objects.size());
    expect_objects_match_mask(tracked);
    if (i == 2) {
      EXPECT_TRUE(tracked.label_mask.equal(two_objects()));
    }
  }
  EXPECT_EQ(num_objects, (std::vector<size_t>{0, 0, 2, 2, 3, 2, 2}));
  ASSERT_EQ(stage.pending().size(), 1U);
  EXPECT_EQ(stage.pending()[0].at.frame_index, 50);
}

// The moments 130 and 150 ms are both seen first in the frame at 160 ms.
TEST_F(HqTrackTest, StageFollowsAllMomentsOfAFrameInOrder) {
  using enum PromptEdit::Action;
  const ObjectPrompt nine = mask_prompts(one_object(9))[0];
  for (const int64_t first_ms : {0, 130}) {
    HqTrack hqtrack(config(), "cpu");
    std::vector<TimedPrompt> prompts;
    if (first_ms == 0) prompts = at_frame(0, kAdd, two_objects());
    prompts.push_back({{.time_us = 130'000}, {kAdd, nine}});
    prompts.push_back({{.time_us = 140'000}, {kRemove, nine}});
    prompts.push_back({{.time_us = 150'000}, {kAdd, nine}});
    prompts.push_back(
        {{.time_us = 155'000}, {kCorrect, mask_prompts(two_objects().eq(3).mul(9).to(at::kByte))[0]}});
    TrackStage stage(hqtrack, prompts);
    TrackedFrame tracked;
    for (int64_t i = 0; i < 5; ++i) tracked = stage(make_test_frame(i));
    EXPECT_EQ(tracked.objects.size(), first_ms == 0 ? 3U : 1U);
    EXPECT_TRUE(tracked.label_mask.eq(9).equal(two_objects().eq(3)));
    expect_objects_match_mask(tracked);
  }
}

TEST_F(HqTrackTest, ALivePromptThatLibTorchFailsAtCostsNothingElse) {
  Config broken = config();
  broken.refiner.decoder.hq_branch = false;  // complained about when it is asked, not when it is built
  broken.refiner.hq_token_only = true;
  save_weights(*HqSam(broken.refiner), broken.refiner.weights);
  HqTrack hqtrack(broken, "cpu");
  const auto live = std::make_shared<LivePrompts>();
  TrackStage stage(hqtrack, at_frame(0, PromptEdit::Action::kAdd, two_objects()), live);
  stage(make_test_frame(0));
  int64_t index = 0;
  const auto follow = [&](const PromptEdit& edit) {
    auto answer = std::async(std::launch::async, [&] { return live->follow(edit, std::chrono::minutes(1)); });
    while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
      EXPECT_GE(stage(make_test_frame(++index)).objects.size(), 2U);
    return answer.get();
  };
  PromptEdit by_box{.action = PromptEdit::Action::kAdd, .prompt = {}};
  by_box.prompt.box = {45, 0, 75, 20};
  EXPECT_THROW(follow(by_box), c10::Error);
  const LivePrompts::Followed followed = follow({PromptEdit::Action::kAdd, mask_prompts(one_object(9))[0]});
  EXPECT_EQ(followed.id, 9);
  EXPECT_EQ(followed.frame.objects.size(), 3U);
  EXPECT_EQ(stage(make_test_frame(++index)).objects.size(), 3U);
}

TEST_F(HqTrackTest, StageRefusesWrongFirstPrompts) {
  HqTrack hqtrack(config(), "cpu");
  TrackStage stage(hqtrack, at_frame(0, PromptEdit::Action::kCorrect, two_objects()));
  EXPECT_THROW(stage(make_test_frame(0)), MediaError);
}

TEST_F(HqTrackTest, LaterMasksLieOverEarlierOnes) {
  HqTrack hqtrack(config(), "cpu");
  at::Tensor expected = two_objects();
  expected.slice(0, 0, 20).slice(1, 30, 60).fill_(9);
  at::Tensor over = at::zeros({kHeight, kWidth}, at::kByte);
  over.slice(0, 0, 20).slice(1, 30, 60).fill_(9);
  std::vector<ObjectPrompt> prompts = mask_prompts(two_objects());
  prompts.push_back(mask_prompts(over)[0]);
  EXPECT_TRUE(hqtrack.initialize(make_test_frame(0), prompts).label_mask.equal(expected));
}

}  // namespace
}  // namespace hqtrack
