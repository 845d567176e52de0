#include "selector/select_masks.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

// A row of pixels is a picture here.
at::Tensor labels(std::vector<int64_t> ids) { return at::tensor(ids, at::kByte).unsqueeze(0); }
MaskProposal proposal(int64_t id, std::vector<float> logits) {
  return {id, at::tensor(logits).unsqueeze(0), 0.9};
}

std::vector<std::string> choices(const Selection& selection) {
  std::vector<std::string> words;
  for (const Verdict& verdict : selection.verdicts) {
    words.push_back(std::to_string(verdict.id) + " " + to_string(verdict.choice));
  }
  return words;
}

TEST(SelectMasks, TakesProposalsThatAgreeEnough) {
  const at::Tensor tracked = labels({4, 4, 4, 0, 9, 9, 6, 0});
  const std::vector<MaskProposal> proposals = {proposal(4, {1, 2, -1, -1, -1, -1, -1, -1}),
                                               proposal(9, {-1, -1, -1, -1, -1, -1, -1, 3}),
                                               proposal(8, {5, 5, 5, 5, 5, 5, 5, 5})};  // not in the mask
  const Selection selection = select_masks(tracked, proposals, {});
  EXPECT_EQ(choices(selection), (std::vector<std::string>{"4 refined", "6 skipped", "9 kept"}));
  EXPECT_NEAR(selection.verdicts[0].iou, 2.0 / 3, 1e-6);
  EXPECT_NEAR(selection.verdicts[2].iou, 0.0, 1e-6);
  EXPECT_TRUE(at::equal(selection.label_mask, labels({4, 4, 0, 0, 9, 9, 6, 0})));
}

TEST(SelectMasks, TheThresholdItselfIsEnough) {
  const std::vector<MaskProposal> proposals = {proposal(1, {1, -1, -1, 1})};  // 1 of 3 pixels in common
  EXPECT_EQ(choices(select_masks(labels({1, 1, 0, 0}), proposals, {0.3333})),
            (std::vector<std::string>{"1 refined"}));
  EXPECT_EQ(choices(select_masks(labels({1, 1, 0, 0}), proposals, {0.3334})),
            (std::vector<std::string>{"1 kept"}));
  EXPECT_EQ(choices(select_masks(labels({1, 1, 0, 0}), {proposal(1, {-1, -1, 1, 1})}, {0.0})),
            (std::vector<std::string>{"1 refined"}));
}

TEST(SelectMasks, TheHigherLogitWinsAnOverlap) {
  const at::Tensor tracked = labels({2, 2, 0, 5, 5});
  const std::vector<MaskProposal> proposals = {proposal(2, {4, 4, 1, 2, -1}), proposal(5, {-1, 3, 2, 2, 6})};
  EXPECT_TRUE(at::equal(select_masks(tracked, proposals, {}).label_mask, labels({2, 2, 5, 2, 5})));
}

TEST(SelectMasks, WhatWasKeptOrSkippedStays) {
  const at::Tensor tracked = labels({2, 2, 7, 5, 0});
  const std::vector<MaskProposal> proposals = {proposal(2, {9, 9, 9, 9, 9}),
                                               proposal(5, {-1, -1, -1, -1, 1})};  // kept
  const Selection selection = select_masks(tracked, proposals, {});
  EXPECT_EQ(choices(selection), (std::vector<std::string>{"2 refined", "5 kept", "7 skipped"}));
  EXPECT_TRUE(at::equal(selection.label_mask, labels({2, 2, 7, 5, 2})));
}

TEST(SelectMasks, ReferenceWritesPlacesOfOverlappingObjects) {
  const SelectorConfig published{0.1, "reference"};
  // Values 0, 2 and 5 have the places 0, 1 and 2.
  std::vector<MaskProposal> proposals = {proposal(2, {1, 1, 1, 1, -1}), proposal(5, {-1, -1, 9, 9, 9})};
  EXPECT_TRUE(at::equal(select_masks(labels({2, 2, 0, 5, 5}), proposals, published).label_mask,
                        labels({2, 2, 1, 1, 5})));
  // Without background, 2 and 5 have the places 0 and 1, and the overlap becomes background.
  EXPECT_TRUE(at::equal(select_masks(labels({2, 2, 2, 5, 5}), proposals, published).label_mask,
                        labels({2, 2, 0, 0, 5})));
}

TEST(SelectMasks, WithoutProposalsNothingChanges) {
  const at::Tensor tracked = labels({0, 1, 255, 0});
  for (const std::string compatibility : {"right", "reference"}) {
    EXPECT_TRUE(at::equal(select_masks(tracked, {}, {0.1, compatibility}).label_mask, tracked));
  }
  EXPECT_THROW(select_masks(tracked, {proposal(1, {1, 1, 1})}, {}), c10::Error);
}

}  // namespace
}  // namespace hqtrack
