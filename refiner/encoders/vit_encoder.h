#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>
#include <vector>

#include "core/dense.h"
#include "refiner/encoders/image_encoder.h"

namespace hqtrack {

/// Attention with decomposed relative positions and a feed-forward part, each with a norm before it and a
/// shortcut around it (Li et al., ViTDet, "Backbone adaptation"; docs/hqsam.md, section 3).
class VitBlockImpl : public torch::nn::Module {
 public:
  /// window: cells an edge of the squares that attend within themselves; the grid's edge for a global block.
  VitBlockImpl(int64_t width, int64_t heads, int64_t window, std::string probe_name);

  /// x [B, h, w, width] -> the same shape.
  at::Tensor forward(const at::Tensor& x);

 private:
  at::Tensor attend_in_windows(const at::Tensor& x);

  int64_t heads_, window_;
  std::string probe_name_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Linear qkv_{nullptr}, proj_{nullptr}, lin1_{nullptr}, lin2_{nullptr};
  at::Tensor rel_pos_h_, rel_pos_w_;  // [2 window - 1, width / heads]
};
TORCH_MODULE(VitBlock);

/// Attention of each cell of a window to all of its cells, with `scale` q k^T + q . rows[y - y' + n - 1] + q
/// . columns[x - x' + n - 1] as scores. q, k, v [B, n, n, d]; rows, columns [2 n - 1, d] -> [B, n, n, d].
at::Tensor attend_with_positions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const at::Tensor& rows, const at::Tensor& columns, double scale,
                                 Precision precision = Precision::kFloat32);

/// The image encoder of SAM: a plain ViT at stride 16 (Kirillov et al., "Segment Anything", "Image encoder").
/// The early features are the output of its first global block.
class VitEncoder : public ImageEncoder {
 public:
  explicit VitEncoder(const RefinerConfig& config);
  ImageFeatures encode(const at::Tensor& image) override;
  int64_t early_channels() const override { return patch_embed_->options.out_channels(); }

 private:
  size_t first_global_block_;
  Conv2d patch_embed_{nullptr};
  at::Tensor pos_embed_;
  std::vector<VitBlock> blocks_;
  std::unique_ptr<Neck> neck_;
};

}  // namespace hqtrack
