#include "refiner/preprocess.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "refiner/preprocess_pixel.h"
#include "tests/refiner/network_input_cases.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

// One axis of Pillow's rule for a line of values, in double up to the whole-number weights.
std::vector<int> plain_line(const std::vector<int>& line, int64_t out) {
  const double ratio = static_cast<double>(line.size()) / static_cast<double>(out), f = std::max(ratio, 1.0);
  std::vector<int> result;
  for (int64_t i = 0; i < out; ++i) {
    const double c = (static_cast<double>(i) + 0.5) * ratio;
    const int64_t lo = std::max<int64_t>(static_cast<int64_t>(c - f + 0.5), 0);
    const int64_t hi =
        std::min<int64_t>(static_cast<int64_t>(c + f + 0.5), static_cast<int64_t>(line.size()));
    const auto weight = [&](int64_t x) {
      return std::max(0.0, 1.0 - std::abs((static_cast<double>(x) - c + 0.5) * (1.0 / f)));
    };
    double sum = 0;
    for (int64_t x = lo; x < hi; ++x) sum += weight(x);
    int64_t value = int64_t{1} << 21;
    for (int64_t x = lo; x < hi; ++x)
      value += static_cast<int64_t>(weight(x) / sum * 4194304.0 + 0.5) * line[x];
    result.push_back(static_cast<int>(std::clamp<int64_t>(value >> 22, 0, 255)));
  }
  return result;
}

// Line by line along `axis`; an axis that keeps its length is left alone.
at::Tensor plain_axis(const at::Tensor& image, int64_t axis, int64_t out) {
  if (image.size(axis) == out) return image;
  const at::Tensor lines = image.movedim(axis, -1).to(at::kInt).contiguous();
  const at::Tensor flat = lines.view({-1, image.size(axis)});
  at::Tensor resized = at::empty({flat.size(0), out}, at::kInt);
  for (int64_t i = 0; i < flat.size(0); ++i) {
    const int* const start = flat[i].const_data_ptr<int>();
    const std::vector<int> line = plain_line({start, start + flat.size(1)}, out);
    std::copy(line.begin(), line.end(), resized[i].mutable_data_ptr<int>());
  }
  std::vector<int64_t> sizes = lines.sizes().vec();
  sizes.back() = out;
  return resized.view(sizes).movedim(-1, axis).to(at::kByte).contiguous();
}

TEST(ResizeAntialiased, EqualsThePlainRuleOverOddSizes) {
  at::manual_seed(1);
  for (const auto& [from, to] : std::vector<std::pair<GridSize, GridSize>>{{{1, 1}, {3, 5}},
                                                                           {{37, 53}, {64, 41}},
                                                                           {{90, 17}, {23, 17}},
                                                                           {{41, 200}, {41, 7}},
                                                                           {{5, 3}, {1, 1}},
                                                                           {{63, 64}, {64, 63}},
                                                                           {{130, 2}, {20, 96}}}) {
    // Black and white noise as well: it reaches both ends of the range.
    const at::Tensor noise = at::randint(0, 256, {from.height, from.width, 3}, at::kByte);
    for (const at::Tensor& image : {noise, (noise > 127).to(at::kByte) * 255}) {
      const at::Tensor expected = plain_axis(plain_axis(image, 1, to.width), 0, to.height);
      EXPECT_TRUE(at::equal(resize_antialiased(image, to), expected))
          << from.height << " x " << from.width << " to " << to.height << " x " << to.width;
    }
  }
}

TEST(ResizeAntialiased, RejectsWhatIsNoPicture) {
  EXPECT_THROW(resize_antialiased(at::zeros({4, 4}, at::kByte), {2, 2}), c10::Error);
  EXPECT_THROW(resize_antialiased(at::zeros({4, 4, 3}, at::kFloat), {2, 2}), c10::Error);
  EXPECT_THROW(resize_antialiased(at::zeros({0, 4, 3}, at::kByte), {2, 2}), c10::Error);
}

TEST(ResizedSize, MakesTheLongEdgeFitAndRoundsTheOther) {
  EXPECT_EQ(resized_size({240, 320}, 1024), (GridSize{768, 1024}));
  EXPECT_EQ(resized_size({400, 200}, 1024), (GridSize{1024, 512}));
  EXPECT_EQ(resized_size({333, 500}, 1024), (GridSize{682, 1024}));
  EXPECT_EQ(resized_size({1025, 2048}, 1024), (GridSize{513, 1024}));  // 512.5
  EXPECT_EQ(resized_size({1, 10000}, 1024), (GridSize{1, 1024}));
}

TEST(NormalizeAndPad, PadsWithZerosBelowAndToTheRight) {
  const at::Tensor image = at::randint(0, 256, {3, 5, 3}, at::kByte);
  const at::Tensor out = normalize_and_pad(image, InputForm{}, 8);
  const at::Tensor mean = at::tensor({123.675, 116.28, 103.53}), std = at::tensor({58.395, 57.12, 57.375});
  at::Tensor expected = at::zeros({1, 3, 8, 8});
  expected.narrow(2, 0, 3).narrow(3, 0, 5).copy_(((image.to(at::kFloat) - mean) / std).permute({2, 0, 1}));
  EXPECT_TENSORS_CLOSE(out, expected, 0, 1e-6);
  EXPECT_THROW(normalize_and_pad(image, InputForm{}, 4), c10::Error);
}

// The function that a GPU's threads run, here one after the other.
TEST(NetworkInput, PixelByPixelIsWhatTheCpuDoes) {
  testing::expect_same_network_input(
      c10::kCPU, [](const at::Tensor& image, GridSize resized, const InputForm& form, int64_t image_size) {
        const GridSize size = input_size(resized, form, image_size);
        const AntialiasedInput input = antialiased_input(image, resized, size, form);
        at::Tensor values = at::empty({1, size.height, size.width, 3});
        float* value = values.mutable_data_ptr<float>();
        for (int y = 0; y < input.out_height; ++y) {
          for (int x = 0; x < input.out_width; ++x, value += 3) antialiased_pixel(input, x, y, value);
        }
        return values.permute({0, 3, 1, 2});
      });
}

TEST(ToResized, EachAxisHasItsOwnRatio) {
  const GridSize picture{333, 500}, resized{682, 1024};
  Prompts prompts;
  prompts.boxes = at::tensor({0.0, 333.0, 500.0, 100.0}, at::kDouble).view({1, 4});
  prompts.points = at::tensor({250.0, 10.0}, at::kDouble).view({1, 1, 2});
  prompts.labels = at::ones({1, 1}, at::kLong);
  const Prompts scaled = to_resized(prompts, picture, resized);
  EXPECT_EQ(scaled.boxes.scalar_type(), at::kFloat);
  EXPECT_TENSORS_CLOSE(scaled.boxes, at::tensor({0.0, 682.0, 1024.0, 100.0 * 682 / 333}).view({1, 4}), 0,
                       1e-4);
  EXPECT_TENSORS_CLOSE(scaled.points, at::tensor({512.0, 10.0 * 682 / 333}).view({1, 1, 2}), 0, 1e-4);
  EXPECT_TRUE(scaled.labels.is_same(prompts.labels));
  EXPECT_FALSE(scaled.masks.defined());
}

TEST(NormalizeAndPad, LeavesOutTheFirstRowsAndColumnsOfAShiftedForm) {
  const at::Tensor image = at::randint(0, 256, {19, 37, 3}, at::kByte);
  const InputForm form{.mean = {127, 127, 127}, .std = {128, 128, 128}, .is_square = false, .shift_px = 2};
  const at::Tensor out = normalize_and_pad(image, form, 64);
  at::Tensor expected = at::zeros({1, 3, 32, 48});
  expected.narrow(2, 0, 17).narrow(3, 0, 35).copy_(
      ((image.slice(0, 2).slice(1, 2).to(at::kFloat) - 127) / 128).permute({2, 0, 1}));
  EXPECT_TENSORS_CLOSE(out, expected, 0, 1e-6);
}

// The part of each cell that is inside, from its logit.
at::Tensor coverage(const at::Tensor& logits) { return logits[0][0] / 12 + 0.5; }

TEST(MaskPrompt, IsThePartOfEachCellThatIsInside) {
  at::manual_seed(4);
  const at::Tensor mask = at::randint(0, 2, {64, 96}, at::kByte) * 7;
  const at::Tensor inside = mask.ne(0).to(at::kFloat).unsqueeze(0);
  EXPECT_TENSORS_CLOSE(coverage(mask_prompt(mask, {32, 48}, {32, 48})), at::avg_pool2d(inside, 8)[0], 0,
                       1e-6);
  EXPECT_TENSORS_CLOSE(coverage(mask_prompt(mask, {64, 96}, {64, 96})), at::avg_pool2d(inside, 4)[0], 0,
                       1e-6);
  EXPECT_TENSORS_CLOSE(coverage(mask_prompt(mask, {128, 192}, {128, 192})), at::avg_pool2d(inside, 2)[0], 0,
                       1e-6);
}

TEST(MaskPrompt, KeepsTheAreaWhateverTheSize) {
  at::Tensor mask = at::zeros({61, 83}, at::kByte);
  mask.narrow(0, 10, 30).narrow(1, 22, 41).fill_(1);
  for (const GridSize size : {GridSize{24, 33}, {60, 80}, {61, 83}}) {
    const GridSize input{64, 96};
    const double cells = coverage(mask_prompt(mask, size, input)).sum().item<double>() * 16;
    EXPECT_NEAR(cells / static_cast<double>(size.area()), mask.to(at::kDouble).mean().item<double>(), 1e-6);
  }
}

TEST(MaskPrompt, IsBackgroundInThePadding) {
  const at::Tensor logits = mask_prompt(at::ones({10, 20}, at::kByte), {16, 32}, {48, 48});
  EXPECT_EQ(logits.sizes(), at::IntArrayRef({1, 1, 12, 12}));
  EXPECT_TENSORS_CLOSE(logits[0][0].narrow(0, 0, 4).narrow(1, 0, 8), at::full({4, 8}, 6.0f), 0, 1e-6);
  EXPECT_EQ(logits.gt(0).sum().item<int64_t>(), 32);
}

}  // namespace
}  // namespace hqtrack
