#include "train/refiner_questions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <array>
#include <opencv2/core.hpp>

#include "tests/support/golden.h"
#include "tests/train/tiny_refiner.h"
#include "train/wrong_mask.h"

namespace hqtrack {
namespace {

constexpr GridSize kInput{48, 64};

cv::Mat map_of(const at::Tensor& labels) {
  return {static_cast<int>(labels.size(0)), static_cast<int>(labels.size(1)), CV_8UC1, labels.data_ptr()};
}

TEST(RefinerQuestions, KeepTheSharesOfTheKinds) {
  RefinerTrainConfig config;
  config.prompts_per_picture = 10;
  config.box_share = 0.4;
  config.point_share = 0.3;
  config.box_and_point_share = 0.1;
  config.mask_share = 0.2;
  const Still still = testing::TinyStills().example(0);
  std::array<int64_t, 4> counts{};
  for (uint64_t i = 0; i < 200; ++i) {
    Random random(1, i);
    for (const Questions& questions : random_questions(still, kInput, config, random))
      counts[static_cast<size_t>(questions.kind)] += static_cast<int64_t>(questions.objects.size());
  }
  const std::array<double, 4> shares = {0.4, 0.3, 0.1, 0.2};
  for (size_t kind = 0; kind < 4; ++kind)
    EXPECT_NEAR(static_cast<double>(counts[kind]) / 2000, shares[kind], 0.035) << kind;
}

TEST(RefinerQuestions, HaveThePromptsOfTheirKindAndTheRightAnswers) {
  RefinerTrainConfig config;
  config.prompts_per_picture = 8;
  for (int64_t number = 0; number < 10; ++number) {
    const Still still = testing::TinyStills().example(number);
    Random random(2, static_cast<uint64_t>(number));
    for (const Questions& questions : random_questions(still, kInput, config, random)) {
      const Prompts& prompts = questions.prompts;
      const PromptKind kind = questions.kind;
      EXPECT_EQ(prompts.boxes.defined(), kind != PromptKind::kPoints);
      EXPECT_EQ(prompts.points.defined(), kind == PromptKind::kPoints || kind == PromptKind::kBoxAndPoints);
      EXPECT_EQ(prompts.masks.defined(), kind == PromptKind::kMask);
      for (size_t i = 0; i < questions.objects.size(); ++i) {
        const at::Tensor inside = still.labels.eq(questions.objects[i]).to(at::kFloat);
        EXPECT_TENSORS_CLOSE(questions.targets[static_cast<int64_t>(i)][0],
                             at::avg_pool2d(inside.unsqueeze(0), 4)[0], 1e-6, 1e-6);
      }
      if (!prompts.points.defined()) continue;
      for (int64_t i = 0; i < prompts.points.size(0); ++i) {
        for (int64_t k = 0; k < prompts.points.size(1); ++k) {
          const auto x = prompts.points[i][k][0].item<int64_t>(), y = prompts.points[i][k][1].item<int64_t>();
          const bool is_on = still.labels[y][x].item<int64_t>() == questions.objects[static_cast<size_t>(i)];
          EXPECT_EQ(prompts.labels[i][k].item<int64_t>(), is_on ? 1 : 0);
          if (k == 0) {
            EXPECT_TRUE(is_on);
          }
        }
      }
    }
  }
}

TEST(RefinerQuestions, BoxesWithoutJitterAreOuterBoxes) {
  const at::Tensor labels = at::zeros({40, 50}, at::kByte);
  labels.slice(0, 5, 20).slice(1, 10, 31).fill_(3);
  Random random(1);
  EXPECT_EQ(random_box(map_of(labels), 3, 0, random), (std::vector<float>{10, 5, 30, 19}));
  for (int i = 0; i < 100; ++i) {
    const auto box = random_box(map_of(labels), 3, 0.5, random);
    EXPECT_TRUE(0 <= box[0] && box[0] <= box[2] && box[2] <= 49) << box[0] << ' ' << box[2];
    EXPECT_TRUE(0 <= box[1] && box[1] <= box[3] && box[3] <= 39) << box[1] << ' ' << box[3];
  }
}

TEST(RefinerQuestions, NeedAnObject) {
  Still still = testing::TinyStills().example(0);
  still.labels.zero_();
  Random random(1);
  EXPECT_THROW(random_questions(still, kInput, {}, random), c10::Error);
}

TEST(WrongMask, IsWrongButNotHopeless) {
  const Still still = testing::TinyStills().example(1);
  const cv::Mat labels = map_of(still.labels), truth = labels == 2;
  double sum = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    Random random(3, i);
    const double iou = iou_of(wrong_mask(labels, 2, random), truth);
    EXPECT_GE(iou, 0.3);
    sum += iou;
  }
  EXPECT_GT(sum / 200, 0.6);
  EXPECT_LT(sum / 200, 0.9);
}

}  // namespace
}  // namespace hqtrack
