#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "refiner/preprocess.h"

namespace hqtrack::testing {

/// The CPU's own way is held against the plain rule (preprocess_test.cpp); here a GPU's against it.
/// network_input(image, resized, form, image_size): what a GPU computes.
template <class NetworkInput>
void expect_same_network_input(c10::Device device, const NetworkInput& network_input) {
  at::manual_seed(4);
  InputForm light;
  light.is_square = false;
  light.shift_px = 8;
  light.std = {1.0F, 2.0F, 3.0F};
  for (const InputForm& form : {InputForm{}, light}) {
    for (const GridSize size : {GridSize{48, 85}, {200, 31}, {64, 64}, {1, 1}, {300, 500}}) {
      const at::Tensor image = at::randint(0, 256, {size.height, size.width, 3}, at::kByte);
      const GridSize resized = resized_size(size, 64);
      const at::Tensor expected = normalize_and_pad(resize_antialiased(image, resized), form, 64);
      const at::Tensor found = network_input(image.to(device), resized, form, 64);
      EXPECT_EQ(found.device(), device);
      EXPECT_EQ(found.sizes(), expected.sizes());
      EXPECT_TRUE(found.is_contiguous(at::MemoryFormat::ChannelsLast));
      const at::Tensor difference = (found.cpu() - expected).abs();
      EXPECT_LE(difference.max().item<double>(), 1.001) << "more than a step of 255";
      EXPECT_LE((difference > 1e-5).sum().item<int64_t>(), expected.numel() / 10000)
          << size.height << " x " << size.width;
    }
  }
}

}  // namespace hqtrack::testing
