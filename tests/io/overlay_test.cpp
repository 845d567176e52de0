#include "io/overlay.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace hqtrack {
namespace {

TrackedFrame grey_frame() {
  TrackedFrame tracked;
  tracked.frame.image = at::full({120, 160, 3}, 90, at::kByte);
  tracked.label_mask = at::zeros({120, 160}, at::kByte);
  return tracked;
}

/// Where the overlay changed a picture: [H, W].
at::Tensor changed(const TrackedFrame& tracked) {
  return Overlay({}).draw(tracked).ne(tracked.frame.image).any(-1);
}

at::Tensor pixel(const at::Tensor& image, int64_t x, int64_t y) { return image[y][x].to(at::kLong); }

at::Tensor colour_of(int64_t id) {
  const Rgb rgb = overlay_colour(id);
  return at::tensor({static_cast<int64_t>(rgb.r), static_cast<int64_t>(rgb.g), static_cast<int64_t>(rgb.b)});
}

TEST(Overlay, ShowsWhatWasSaidAndNothingElse) {
  TrackedFrame tracked = grey_frame();
  EXPECT_FALSE(changed(tracked).any().item<bool>());
  ObjectPrompt& prompt = tracked.prompts.emplace_back();
  prompt.id = 2;
  prompt.box = {20, 30, 100, 80};
  prompt.points = {{60, 50}, {130, 50, false}};
  const at::Tensor image = Overlay({}).draw(tracked), is_drawn = changed(tracked);
  EXPECT_TRUE(pixel(image, 60, 50).equal(colour_of(2)));
  EXPECT_TRUE(pixel(image, 130, 50).equal(at::tensor({225, 20, 20})));  // the cross
  for (const auto& [x, y] : {std::pair{60, 30}, {60, 79}, {20, 55}, {99, 55}}) {
    EXPECT_TRUE(is_drawn[y][x].item<bool>()) << "the box's side at " << x << ", " << y;
  }
  for (const auto& [x, y] : {std::pair{40, 50}, {80, 65}, {110, 90}, {150, 10}}) {
    EXPECT_FALSE(is_drawn[y][x].item<bool>()) << x << ", " << y;
  }
}

TEST(Overlay, DrawsBoxesAsFarAsThePictureGoes) {
  TrackedFrame tracked = grey_frame();
  tracked.prompts.resize(2);
  tracked.prompts[0].box = {-1e6, -50, 1e9, 60};
  tracked.prompts[1].box = {158.5, 118.5, 400, 400};
  const at::Tensor is_drawn = changed(tracked);
  EXPECT_TRUE(is_drawn[59].any().item<bool>());
  EXPECT_FALSE(is_drawn.slice(0, 62, 115).slice(1, 3, 155).any().item<bool>());
}

}  // namespace
}  // namespace hqtrack
