#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <vector>

#include "core/dense.h"
#include "core/layers.h"
#include "refiner/layers.h"

namespace hqtrack {

/// What is asked of an image: B prompts, one object each. Every kind may be left undefined, all of them too
/// (then B = 1). Coordinates are (x, y) of pixels, floating point.
struct Prompts {
  at::Tensor boxes{};   // [B, 4]: x0, y0, x1, y1, where (x1, y1) is the last pixel inside
  at::Tensor points{};  // [B, N, 2]
  at::Tensor labels{};  // [B, N], with points: int64, 1 = on the object, 0 = beside it, -1 = no point
  at::Tensor masks{};   // [B, 1, h, w] logits at stride 4 of the network's input
};

/// Prompts as the mask decoder sees them.
struct PromptEmbedding {
  at::Tensor sparse;  // [B, n, width]: points, then box corners
  at::Tensor dense;   // [B, width, h, w] at stride 16 with masks, else [1, width, 1, 1]
};

/// Points, boxes and masks as embeddings (Kirillov et al., "Segment Anything", "Prompt encoder";
/// docs/hqsam.md, section 5).
class PromptEncoderImpl : public torch::nn::Module {
 public:
  /// image_size: edge of the network's input in pixels, which coordinates are measured by.
  PromptEncoderImpl(int64_t width, int64_t image_size);

  /// Prompts in pixels of the network's input. Throws c10::Error when sizes do not fit together.
  PromptEmbedding forward(const Prompts& prompts);

  /// Where each cell of the grid is: [1, width, h, w]. Depends on the weights only.
  at::Tensor dense_code(GridSize grid);

  at::Device device() const { return frequencies_.device(); }

 private:
  at::Tensor code(const at::Tensor& positions);
  at::Tensor embed_points(const Prompts& prompts);
  at::Tensor embed_boxes(const at::Tensor& boxes);
  at::Tensor embed_masks(const at::Tensor& masks);

  int64_t image_size_;
  at::Tensor frequencies_;          // [2, width / 2]
  at::Tensor point_embeddings_[4];  // beside the object, on it, first and second corner; each [1, width]
  at::Tensor not_a_point_, no_mask_;
  Conv2d halve1_{nullptr}, halve2_{nullptr}, widen_{nullptr};
  ChannelNorm norm1_{nullptr}, norm2_{nullptr};
};
TORCH_MODULE(PromptEncoder);

}  // namespace hqtrack
