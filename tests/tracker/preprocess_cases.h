#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tracker/preprocess.h"

namespace hqtrack::testing {

/// The CPU's own way is held against golden tensors (build/parity vmos); here a GPU's against it.
/// preprocess(image, size, config): what a GPU computes.
template <class Preprocess>
void expect_same_input(c10::Device device, const Preprocess& preprocess) {
  at::manual_seed(2);
  const PreprocessConfig config;
  for (const auto& [source, target] : {std::pair{GridSize{48, 85}, GridSize{33, 65}},
                                       {{33, 17}, {97, 49}},
                                       {{480, 854}, {241, 433}},
                                       {{49, 65}, {49, 65}},
                                       {{1, 1}, {17, 17}}}) {
    const at::Tensor whole = at::randint(0, 256, {source.height + 3, source.width + 5, 3}, at::kByte);
    const at::Tensor part = whole.narrow(0, 2, source.height).narrow(1, 1, source.width);
    const at::Tensor expected = normalize(resize_bicubic(part, target), config);
    const at::Tensor found =
        preprocess(whole.to(device).narrow(0, 2, source.height).narrow(1, 1, source.width), target, config);
    EXPECT_EQ(found.device(), device);
    EXPECT_TRUE(found.is_contiguous(at::MemoryFormat::ChannelsLast));
    // One step of 255 is 0.0174 at most; the rest is rounding.
    const at::Tensor difference = (found.cpu() - expected).abs();
    EXPECT_LT(difference.max().item<double>(), 0.0176) << source.height << " x " << source.width;
    EXPECT_LE((difference > 1e-6).sum().item<int64_t>(), expected.numel() / 100000)
        << source.height << " x " << source.width;
  }
}

}  // namespace hqtrack::testing
