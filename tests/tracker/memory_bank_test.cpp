#include "tracker/memory_bank.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <set>

namespace hqtrack {
namespace {

MemoryFrame frame_of(double value) { return {at::full({1, 3, 2}, value), at::full({1, 3, 4}, value), {}}; }

std::multiset<double> frames_in(const MemoryBank& bank) {
  std::multiset<double> values;
  const MemoryFrame frames = bank.frames();
  for (int64_t i = 0; i < bank.num_frames(); ++i) {
    EXPECT_EQ(frames.key[0][3 * i][0].item<double>(), frames.value[0][3 * i + 2][3].item<double>());
    values.insert(frames.key[0][3 * i][0].item<double>());
  }
  return values;
}

TEST(MemoryBank, KeepsWhatTheReferencesListKeeps) {
  for (const int64_t capacity : {2, 3, 6}) {
    MemoryBank bank(capacity);
    std::deque<double>
        list;  // newest first: full => the frame before the last goes, then the new one comes in front
    for (int i = 0; i < 20; ++i) {
      if (static_cast<int64_t>(list.size()) >= capacity) list.erase(list.begin() + capacity - 2);
      list.push_front(i);
      bank.push(frame_of(i), /*is_reference=*/i % 7 == 0);
      EXPECT_EQ(frames_in(bank), std::multiset<double>(list.begin(), list.end()))
          << capacity << ", frame " << i;
    }
  }
}

TEST(MemoryBank, WithOneFrameKeepsTheNewestReference) {
  MemoryBank bank(1);
  bank.push(frame_of(1), true);
  bank.push(frame_of(2), false);
  EXPECT_EQ(frames_in(bank), std::multiset<double>{1});
  bank.push(frame_of(3), true);
  EXPECT_EQ(frames_in(bank), std::multiset<double>{3});
}

TEST(MemoryBank, AFrameCanGiveItsPlaceToAnother) {
  for (const int64_t capacity : {2, 4}) {
    MemoryBank plain(capacity), replacing(capacity);
    for (int i = 0; i < 9; ++i) {
      plain.push(frame_of(i), false);
      replacing.push(frame_of(100 + i), false);
      replacing.push(frame_of(i), true, /*replaces_last=*/true);
      EXPECT_EQ(frames_in(replacing), frames_in(plain)) << capacity << ", frame " << i;
    }
  }
}

TEST(MemoryBank, NeverGrowsAfterTheFirstFrame) {
  MemoryBank bank(4);
  bank.push(frame_of(0), true);
  const int64_t bytes = bank.num_bytes();
  const void* data = bank.frames().key.data_ptr();
  for (int i = 1; i < 50; ++i) bank.push(frame_of(i), false);
  EXPECT_EQ(bank.num_bytes(), bytes);
  EXPECT_EQ(bank.frames().key.data_ptr(), data);
}

TEST(MemoryBank, WhatItBeginsWithStays) {
  MemoryBank bank(4);
  bank.push(frame_of(50), true);
  bank.begin(std::array{frame_of(1), frame_of(2)});
  EXPECT_EQ(frames_in(bank), (std::multiset<double>{1, 2}));
  for (int i = 10; i < 19; ++i) bank.push(frame_of(i), i % 2 == 0);
  EXPECT_EQ(frames_in(bank), (std::multiset<double>{1, 2, 17, 18}));
}

TEST(MemoryBank, WithoutRoomBesideWhatStaysKeepsTheNewestReference) {
  MemoryBank bank(2);
  bank.begin(std::array{frame_of(0), frame_of(1), frame_of(2)});
  EXPECT_EQ(frames_in(bank), (std::multiset<double>{1, 2}));
  bank.push(frame_of(3), false);
  EXPECT_EQ(frames_in(bank), (std::multiset<double>{1, 2}));
  bank.push(frame_of(4), true);
  EXPECT_EQ(frames_in(bank), (std::multiset<double>{1, 4}));
}

TEST(MemoryBank, RejectsAFrameOfAnotherSize) {
  MemoryBank bank(2);
  bank.push(frame_of(0), true);
  EXPECT_THROW(bank.push({at::zeros({1, 4, 2}), at::zeros({1, 4, 4}), {}}, false), c10::Error);
}

}  // namespace
}  // namespace hqtrack
