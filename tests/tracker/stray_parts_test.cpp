#include "tracker/stray_parts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>
#include <utility>
#include <vector>

#include "core/error.h"

namespace hqtrack {
namespace {

constexpr int64_t kHeight = 60, kWidth = 100;

at::Tensor empty_mask() { return at::zeros({kHeight, kWidth}, at::kByte); }

void fill(const at::Tensor& mask, const Box& box, int64_t value) {
  mask.narrow(0, box.y0, box.y1 - box.y0).narrow(1, box.x0, box.x1 - box.x0).fill_(value);
}

at::Tensor mask_of(const std::vector<std::pair<Box, int64_t>>& boxes) {
  at::Tensor mask = empty_mask();
  for (const auto& [box, value] : boxes) fill(mask, box, value);
  return mask;
}

std::array<uint8_t, 256> same_ids() {
  std::array<uint8_t, 256> ids{};
  std::iota(ids.begin(), ids.end(), uint8_t{0});
  return ids;
}

at::Tensor dropped(StrayParts& stray, const at::Tensor& slots,
                   const std::array<uint8_t, 256>& ids = same_ids()) {
  at::Tensor left = slots.clone();
  stray.drop(left, ids);
  return left;
}

// 10 x 10 pixels, so that half of the root of its area and 8 pixels are 13.
constexpr Box kObject{20, 20, 30, 30};

TEST(StrayParts, WhatIsFarFromWhereTheObjectWasBecomesBackground) {
  StrayParts stray(0.5);
  stray.see(mask_of({{kObject, 1}}));
  const Box moved{24, 20, 34, 30}, near{43 - 1, 20, 50, 30}, far{43, 40, 60, 50};
  EXPECT_TRUE(at::equal(dropped(stray, mask_of({{moved, 1}, {far, 1}})), mask_of({{moved, 1}})));
  stray.see(mask_of({{kObject, 1}}));
  const at::Tensor both = mask_of({{moved, 1}, {near, 1}});
  EXPECT_TRUE(at::equal(dropped(stray, both), both)) << "its edge is 12 pixels away";
}

TEST(StrayParts, APartThatReachesFarStays) {
  StrayParts stray(0.5);
  stray.see(mask_of({{kObject, 1}}));
  const at::Tensor arm = mask_of({{kObject, 1}, {{28, 25, 90, 26}, 1}, {{89, 5, 90, 26}, 1}});
  EXPECT_TRUE(at::equal(dropped(stray, arm), arm));
}

TEST(StrayParts, AllStaysWhereTooLittleIsNear) {
  StrayParts stray(0.5);
  stray.see(mask_of({{kObject, 1}}));
  const Box rest{20, 20, 29, 23}, far{70, 40, 80, 50};  // 27 of 100 pixels
  const at::Tensor jumped = mask_of({{rest, 1}, {far, 1}});
  EXPECT_TRUE(at::equal(dropped(stray, jumped), jumped));
  stray.see(mask_of({{kObject, 1}}));
  const at::Tensor enough = mask_of({{{20, 20, 30, 23}, 1}, {far, 1}});
  EXPECT_TRUE(at::equal(dropped(stray, enough), mask_of({{{20, 20, 30, 23}, 1}})));
}

TEST(StrayParts, AnObjectThatWasNotSeenMayBeAnywhere) {
  StrayParts stray(0.5);
  const at::Tensor two = mask_of({{kObject, 1}, {{70, 40, 80, 50}, 1}});
  EXPECT_TRUE(at::equal(dropped(stray, two), two)) << "never seen";
  stray.see(mask_of({{kObject, 1}}));
  dropped(stray, empty_mask());
  EXPECT_TRUE(at::equal(dropped(stray, two), two)) << "lost in the frame before";
}

TEST(StrayParts, GoesOnFromWhatWasLeft) {
  StrayParts stray(0.5);
  stray.see(mask_of({{kObject, 1}}));
  const at::Tensor with_twin = mask_of({{kObject, 1}, {{70, 40, 80, 50}, 1}});
  for (int frame = 0; frame < 3; ++frame) {
    EXPECT_TRUE(at::equal(dropped(stray, with_twin), mask_of({{kObject, 1}}))) << frame;
  }
}

TEST(StrayParts, KnowsObjectsByTheirIdsAndLeavesOthersAlone) {
  StrayParts stray(0.5);
  const Box other{60, 30, 70, 40};
  stray.see(mask_of({{kObject, 7}, {other, 9}}));
  std::array<uint8_t, 256> ids{};
  ids[1] = 9;
  ids[2] = 7;
  const at::Tensor slots = mask_of({{kObject, 2}, {other, 1}, {{62, 50, 66, 54}, 2}, {{64, 0, 99, 3}, 5}});
  EXPECT_TRUE(
      at::equal(dropped(stray, slots, ids), mask_of({{kObject, 2}, {other, 1}, {{64, 0, 99, 3}, 5}})));
}

TEST(StrayParts, WithoutAMarginNothingIsDropped) {
  StrayParts stray(0);
  stray.see(mask_of({{kObject, 1}}));
  const at::Tensor two = mask_of({{kObject, 1}, {{70, 40, 80, 50}, 1}});
  EXPECT_TRUE(at::equal(dropped(stray, two), two));
}

// Pixel by pixel.
at::Tensor plain_drop(const at::Tensor& mask, const Region& before, double margin) {
  const double wide = std::floor(margin * std::sqrt(static_cast<double>(before.area_px))) + 8;
  const auto pixels = mask.accessor<uint8_t, 2>();
  at::Tensor done = at::zeros_like(mask), near = at::zeros_like(mask);
  auto is_done = done.accessor<uint8_t, 2>();
  for (int64_t y = 0; y < kHeight; ++y) {
    for (int64_t x = 0; x < kWidth; ++x) {
      if (pixels[y][x] == 0 || is_done[y][x]) continue;
      std::vector<std::pair<int64_t, int64_t>> part{{y, x}};
      is_done[y][x] = 1;
      Box box{x, y, x + 1, y + 1};
      for (size_t i = 0; i < part.size(); ++i) {
        const auto [py, px] = part[i];
        box = {std::min(box.x0, px), std::min(box.y0, py), std::max(box.x1, px + 1),
               std::max(box.y1, py + 1)};
        for (const auto& [dy, dx] : {std::pair{-1, 0}, {1, 0}, {0, -1}, {0, 1}}) {
          const int64_t ny = py + dy, nx = px + dx;
          if (ny < 0 || nx < 0 || ny >= kHeight || nx >= kWidth) continue;
          if (pixels[ny][nx] == 0 || is_done[ny][nx]) continue;
          is_done[ny][nx] = 1;
          part.emplace_back(ny, nx);
        }
      }
      const Box& b = before.box;
      const auto overlap = [&](int64_t a0, int64_t a1, int64_t b0, int64_t b1) {
        return static_cast<double>(
                   a0)<static_cast<double>(b1) + wide&& static_cast<double>(a1)> static_cast<double>(b0) -
               wide;
      };
      if (!overlap(box.x0, box.x1, b.x0, b.x1) || !overlap(box.y0, box.y1, b.y0, b.y1)) continue;
      for (const auto& [py, px] : part) near[py][px] = 1;
    }
  }
  const bool is_enough = near.sum().item<double>() >= 0.3 * static_cast<double>(before.area_px);
  return is_enough ? mask * near : mask;
}

TEST(StrayParts, IsWhatTheRuleSaysPixelByPixel) {
  at::manual_seed(4);
  int64_t num_changed = 0;
  for (int round = 0; round < 20; ++round) {
    // Blots of all sizes, with holes and tongues.
    const at::Tensor noise = at::avg_pool2d(at::rand({1, 1, kHeight + 2, kWidth + 2}), 3, 1)[0][0];
    const at::Tensor mask = (noise > 0.54 + 0.004 * round).to(at::kByte).contiguous();
    const at::Tensor first = mask_of({{kObject, 1}});
    StrayParts stray(0.25);
    stray.see(first);
    const at::Tensor expected = plain_drop(mask, label_regions(first)[1], 0.25);
    EXPECT_TRUE(at::equal(dropped(stray, mask), expected)) << round;
    num_changed += !at::equal(expected, mask);
  }
  EXPECT_GT(num_changed, 5);
}

TEST(StrayParts, IsSavedAndRestored) {
  const std::filesystem::path folder = ::testing::TempDir();
  StrayParts stray(0.5), other(0.5);
  stray.see(mask_of({{kObject, 1}}));
  StateWriter state;
  stray.save(state);
  state.write(folder / "stray_parts.state");
  other.restore(StateReader(folder / "stray_parts.state"));
  const at::Tensor two = mask_of({{kObject, 1}, {{70, 40, 80, 50}, 1}});
  EXPECT_TRUE(at::equal(dropped(other, two), mask_of({{kObject, 1}})));
  StateWriter wrong;
  wrong.put("objects_before", at::zeros({3, 5}, at::kLong));
  wrong.write(folder / "stray_parts.wrong");
  EXPECT_THROW(other.restore(StateReader(folder / "stray_parts.wrong")), WeightsError);
}

}  // namespace
}  // namespace hqtrack
