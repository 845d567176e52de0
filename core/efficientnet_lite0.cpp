#include "core/efficientnet_lite0.h"

#include <string>

#include "core/layers.h"

namespace hqtrack {
namespace {

struct Stage {
  int64_t expansion, kernel, stride, in_channels, out_channels, num_blocks;
};
constexpr Stage kStages[] = {{1, 3, 1, 32, 16, 1},
                             {6, 3, 2, 16, 24, 2},
                             {6, 5, 2, 24, 40, 2},
                             {6, 3, 2, 40, 80, 3},
                             {6, 5, 1, 80, 112, 3}};
// Last blocks at stride 4, 8 and 16.
constexpr size_t kStride4Block = 2, kStride8Block = 4, kStride16Block = 10;

}  // namespace

EfficientNetLite0::EfficientNetLite0(torch::nn::Module& parent)
    : stem_(parent.register_module("stem", Conv2d(torch::nn::Conv2dOptions(3, 32, 3).stride(2).padding(1)))) {
  for (const Stage& stage : kStages) {
    for (int64_t i = 0; i < stage.num_blocks; ++i) {
      const std::string name = "blocks." + std::to_string(blocks_.size()) + ".";
      const int64_t in = i == 0 ? stage.in_channels : stage.out_channels, middle = in * stage.expansion;
      const int64_t stride = i == 0 ? stage.stride : 1;
      InvertedBottleneck block;
      if (stage.expansion > 1) {
        block.expand = register_at(parent, name + "expand", Conv2d(torch::nn::Conv2dOptions(in, middle, 1)));
      }
      block.depthwise = register_at(parent, name + "dw",
                                    Conv2d(torch::nn::Conv2dOptions(middle, middle, stage.kernel)
                                               .stride(stride)
                                               .padding(stage.kernel / 2)
                                               .groups(middle)));
      block.project = register_at(parent, name + "project",
                                  Conv2d(torch::nn::Conv2dOptions(middle, stage.out_channels, 1)));
      block.has_skip = stride == 1 && in == stage.out_channels;
      blocks_.push_back(block);
    }
  }
}

EfficientNetLite0::Maps EfficientNetLite0::forward(const at::Tensor& image) {
  Maps maps;
  at::Tensor x = stem_(image.contiguous(at::MemoryFormat::ChannelsLast), 0, 6);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i].forward(x);
    if (i == kStride4Block) maps.stride_4 = x;
    if (i == kStride8Block) maps.stride_8 = x;
    if (i == kStride16Block) maps.stride_16 = x;
  }
  return maps;
}

}  // namespace hqtrack
