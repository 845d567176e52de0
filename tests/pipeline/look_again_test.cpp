#include "pipeline/look_again.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>

#include "core/config.h"
#include "core/weights/weights.h"
#include "pipeline/networks.h"
#include "selector/mask_iou.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

at::Tensor disc(int64_t y, int64_t x, int64_t radius) {
  const at::Tensor rows = at::arange(240).view({-1, 1}) - y, columns = at::arange(320).view({1, -1}) - x;
  return (rows * rows + columns * columns).lt(radius * radius);
}

at::Tensor to_logits(const at::Tensor& mask) { return mask.to(at::kFloat) * 4 - 2; }

class LookAgain : public ::testing::Test {
 protected:
  // A red disc on a background of grey noise.
  LookAgain() {
    at::manual_seed(1);
    picture_ = at::randint(90, 130, {240, 320, 1}, at::kByte).expand({240, 320, 3}).clone();
    for (const auto& [channel, value] : {std::pair{0, 210}, std::pair{1, 40}, std::pair{2, 30}}) {
      picture_.select(2, channel).masked_fill_(object_, value);
    }
  }

  void SetUp() override {
    if (!std::filesystem::exists(testing::repository_root() / "models/nano.safetensors")) {
      GTEST_SKIP() << "models/nano.safetensors is missing";
    }
  }

  at::Tensor ask(const at::Tensor& made, const ObjectPrompt& prompt) {
    const Config config = load_config(testing::repository_root() / "configs/nano.yaml");
    Networks networks(config, "cpu");
    std::vector<MaskProposal> proposals{{.id = 1, .logits = to_logits(made)}};
    look_again(networks.tracker(), config.tracker, picture_, std::array{prompt}, proposals);
    return proposals[0].logits.gt(0);
  }

  at::Tensor object_ = disc(120, 150, 50), picture_;
  ObjectPrompt box_{.id = 1, .box = PromptBox{100, 70, 200, 170}};
};

TEST_F(LookAgain, GivesPixelsToTheSideThatTheyLookLike) {
  const at::Tensor made = object_.logical_and(disc(95, 125, 22).logical_not()).logical_or(disc(180, 60, 18));
  EXPECT_LT(mask_iou(made, object_), 0.75);
  EXPECT_GT(mask_iou(ask(made, box_), object_), 0.9);
}

TEST_F(LookAgain, LeavesAGivenMaskAlone) {
  const at::Tensor given = disc(120, 150, 40);
  ObjectPrompt prompt = box_;
  prompt.mask = given;
  EXPECT_TRUE(ask(given, prompt).equal(given));
}

TEST_F(LookAgain, LeavesAnEmptyMaskAlone) {
  EXPECT_FALSE(ask(at::zeros({240, 320}, at::kBool), box_).any().item<bool>());
}

}  // namespace
}  // namespace hqtrack
