#include "pipeline/prompt_masks.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace hqtrack {
namespace {

using enum PromptEdit::Action;

/// Logits of one row, above 0 where the object is.
MaskProposal made(int64_t id, std::vector<float> logits) {
  return {id, at::tensor(logits).view({1, -1}), 0.5};
}

PromptEdit with_box(PromptEdit::Action action, int64_t id) {
  PromptEdit edit{action, {}};
  edit.prompt.id = id;
  edit.prompt.box = {0, 0, 4, 1};
  return edit;
}

PromptEdit with_mask(PromptEdit::Action action, int64_t id, std::vector<int64_t> pixels) {
  PromptEdit edit{action, {}};
  edit.prompt.id = id;
  edit.prompt.mask = at::tensor(pixels).view({1, -1}).to(at::kBool);
  return edit;
}

at::Tensor row(std::vector<int64_t> labels) { return at::tensor(labels).view({1, -1}).to(at::kByte); }

const Segment kNothing = [](std::span<const ObjectPrompt>) -> std::vector<MaskProposal> { return {}; };

std::string error_of(std::span<const PromptEdit> edits, const std::vector<int64_t>& known,
                     const Segment& segment) {
  try {
    place_prompts(edits, known, row({1, 1, 0, 0}), segment);
  } catch (const MediaError& error) {
    return error.what();
  }
  return "no error";
}

TEST(PlacePrompts, TheSurerMaskHasThePixelAndAGivenOneLiesOnTop) {
  const Segment segment = [](std::span<const ObjectPrompt> prompts) {
    EXPECT_EQ(prompts.size(), 2U);
    return std::vector{made(5, {3, 1, 1, -1}), made(6, {-1, 2, 1, 4})};
  };
  const std::vector<PromptEdit> edits = {with_box(kAdd, 5), with_mask(kAdd, 7, {0, 0, 0, 1}),
                                         with_box(kAdd, 6)};
  const PromptMasks placed = place_prompts(edits, {1}, row({1, 1, 1, 1}), segment);
  EXPECT_TRUE(placed.label_mask.equal(row({5, 6, 5, 7})));  // of equals the first
  EXPECT_EQ(placed.scores[7], 1.0);
  // The mean probability over the object's own mask, wherever others hide it.
  const at::Tensor logits = at::tensor({2.0, 1.0, 4.0});
  EXPECT_NEAR(placed.scores[6], logits.sigmoid().mean().item<double>(), 1e-6);
}

TEST(PlacePrompts, RemovedAndCorrectedObjectsLoseTheirPixels) {
  const std::vector<PromptEdit> edits = {with_mask(kRemove, 1, {0, 0, 0, 0}),
                                         with_mask(kCorrect, 2, {0, 0, 0, 1})};
  EXPECT_TRUE(
      place_prompts(edits, {1, 2, 3}, row({1, 2, 3, 0}), kNothing).label_mask.equal(row({0, 0, 3, 2})));
}

TEST(PlacePrompts, PointsBesideAnObjectNeedItsMask) {
  PromptEdit beside{kCorrect, {}};
  beside.prompt.id = 1;
  beside.prompt.points = {{3, 0, false}};
  const Segment segment = [](std::span<const ObjectPrompt> prompts) {
    EXPECT_TRUE(prompts[0].mask.equal(row({1, 1, 0, 0}).to(at::kBool)));
    return std::vector{made(1, {1, -1, -1, -1})};
  };
  EXPECT_TRUE(place_prompts(std::vector{beside}, {1}, row({1, 1, 0, 0}), segment)
                  .label_mask.equal(row({1, 0, 0, 0})));
  EXPECT_THROW(place_prompts(std::vector{beside}, {1}, row({0, 0, 0, 0}), segment), MediaError);
}

TEST(PlacePrompts, SaysWhatIsWrong) {
  const Segment empty = [](std::span<const ObjectPrompt>) { return std::vector{made(5, {-1, -1, -1, -1})}; };
  EXPECT_EQ(error_of(std::vector{with_box(kAdd, 5)}, {1}, empty),
            "object 5: expected an object where the prompt points, found none");
  EXPECT_EQ(error_of(std::vector{with_box(kAdd, 1)}, {1}, kNothing),
            "object 1: add: expected a new id, found one that is tracked already");
  EXPECT_EQ(error_of(std::vector{with_box(kCorrect, 2)}, {1}, kNothing),
            "object 2: correct: expected an object that is tracked, found none with this id");
  EXPECT_EQ(error_of(std::vector{with_mask(kAdd, 5, {0, 0, 0, 0})}, {1}, kNothing),
            "object 5: mask: expected at least a pixel of the object, found none");
  EXPECT_EQ(error_of(std::vector{with_mask(kAdd, 5, {0, 1})}, {1}, kNothing),
            "object 5: mask: expected 4x1 as the picture, found 2x1");
  EXPECT_EQ(error_of(std::vector{with_mask(kAdd, 256, {0, 1, 0, 0})}, {1}, kNothing),
            "object 256: id: expected one from 1 to 255, found 256");
}

TEST(PlacePrompts, SaysWhichEditCannotBeFollowed) {
  const Segment finds_only_5 = [](std::span<const ObjectPrompt> prompts) {
    std::vector<MaskProposal> found;
    for (const ObjectPrompt& prompt : prompts) {
      found.push_back(made(prompt.id, {0, 0, 0, prompt.id == 5 ? 1.0F : -1.0F}));
    }
    return found;
  };
  const std::vector<PromptEdit> edits = {with_box(kAdd, 5), with_mask(kAdd, 7, {0, 1, 0, 0}),
                                         with_box(kAdd, 6)};
  try {
    place_prompts(edits, {1}, row({1, 1, 0, 0}), finds_only_5);
    FAIL() << "an object without a pixel was taken";
  } catch (const PromptError& error) {
    EXPECT_EQ(error.edit(), 2U);
  }
}

}  // namespace
}  // namespace hqtrack
