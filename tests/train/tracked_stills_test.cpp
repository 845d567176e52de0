#include "train/tracked_stills.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "core/config.h"
#include "core/error.h"
#include "refiner/preprocess.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "train/refiner_questions.h"
#include "train/still_crop.h"
#include "train/wrong_mask.h"

namespace hqtrack {
namespace {

TrackedStills stills(double zoom_share, const TrackerConfig& tracker) {
  const TrackedStillOptions options{.size_px = 128, .max_objects = 2, .zoom_share = zoom_share};
  return {testing::drawn_pictures(), options, tracker, c10::kCPU};
}

/// The tracker that is shipped.
TrackerConfig nano() { return load_config(testing::repository_root() / "configs/nano.yaml").tracker; }

double best_iou(const Still& still) {
  double best = 0;
  for (int64_t object = 1; object <= still.num_objects; ++object) {
    const at::Tensor truth = still.labels == object, tracked = still.tracked == object;
    if (truth.sum().item<int64_t>() < kLeastObjectPixels) continue;
    best = std::max(best, (truth & tracked).sum().item<double>() / (truth | tracked).sum().item<double>());
  }
  return best;
}

TEST(TrackedStills, HaveAnObjectThatIsStillFollowedAndMasksThatAreNotTheTruth) {
  const TrackedStills source = stills(0.5, nano());
  int64_t num_wrong = 0;
  for (int64_t number = 0; number < 6; ++number) {
    const Still still = source.example(number);
    ASSERT_EQ(still.tracked.sizes(), still.labels.sizes());
    EXPECT_EQ(std::max(still.image.size(0), still.image.size(1)), 128);
    EXPECT_GE(best_iou(still), 0.25) << number;  // a little is lost when the masks are resized
    num_wrong += still.tracked.equal(still.labels) ? 0 : 1;
  }
  EXPECT_GE(num_wrong, 5);
}

TEST(TrackedStills, ShowAnObjectThatCanBeAskedAboutAlsoAtTheNetworksSize) {
  const TrackedStills source = stills(0, nano());  // a sixth of the clip's edges
  for (int64_t number = 0; number < 8; ++number)
    EXPECT_GE(best_iou(source.example(number)), kLeastIou) << number;
}

TEST(TrackedStills, DependOnTheNumberAlone) {
  const TrackedStills one = stills(1, nano()), two = stills(1, nano());
  one.example(1);
  const Still a = one.example(2), b = two.example(2);
  EXPECT_TRUE(a.image.equal(b.image));
  EXPECT_TRUE(a.labels.equal(b.labels));
  EXPECT_TRUE(a.tracked.equal(b.tracked));
}

TEST(TrackedStills, GiveTheirMasksToTheQuestions) {
  Still still = stills(0, nano()).example(0);
  int object = 0;
  for (int64_t i = 1; i <= still.num_objects; ++i) {
    if (still.labels.eq(i).sum().item<int64_t>() >= kLeastObjectPixels) object = static_cast<int>(i);
  }
  ASSERT_GT(object, 0);
  still.labels = still.labels.eq(object).to(at::kByte);  // the only one that can be asked about
  still.num_objects = 1;
  still.tracked = still.labels.clone();
  still.tracked.slice(0, 0, 4).slice(1, 0, 8).fill_(1);  // a mark that no other mask has: in the corner
  const GridSize size{still.labels.size(0), still.labels.size(1)};
  RefinerTrainConfig config;
  config.prompts_per_picture = 30;
  config.box_share = config.point_share = config.box_and_point_share = 0;
  config.mask_share = 1;
  Random random(1, 1);
  int64_t num_marked = 0;
  for (const Questions& questions :
       random_questions(still, input_size(size, {.is_square = false}, 0), config, random)) {
    const at::Tensor corner = questions.prompts.masks.select(2, 0).narrow(2, 0, 2);
    num_marked += corner.gt(0).all(-1).sum().item<int64_t>();
  }
  EXPECT_GT(num_marked, 20);
  EXPECT_LT(num_marked, 30);  // some are a box filled
}

TEST(TrackedStills, NeedATracker) {
  TrackerConfig tracker = nano();
  tracker.weights = "none.safetensors";
  EXPECT_THROW(stills(0, tracker), WeightsError);
}

}  // namespace
}  // namespace hqtrack
