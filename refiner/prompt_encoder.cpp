#include "refiner/prompt_encoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/where.h>

#include <numbers>
#include <string>

namespace hqtrack {
namespace {

constexpr int64_t kStride = 16;
constexpr int64_t kMaskChannels[2] = {4, 16};  // of a mask prompt on its way to stride 16

Conv2d halving(int64_t in_channels, int64_t out_channels) {
  return Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, 2).stride(2));
}

at::Tensor embedding(torch::nn::Module& parent, const std::string& name, int64_t width) {
  return group_at(parent, name).register_parameter("weight", at::randn({1, width}));
}

}  // namespace

PromptEncoderImpl::PromptEncoderImpl(int64_t width, int64_t image_size) : image_size_(image_size) {
  frequencies_ = group_at(*this, "pe_layer")
                     .register_buffer("positional_encoding_gaussian_matrix", at::randn({2, width / 2}));
  for (int i = 0; i < 4; ++i) {
    point_embeddings_[i] = embedding(*this, "point_embeddings." + std::to_string(i), width);
  }
  not_a_point_ = embedding(*this, "not_a_point_embed", width);
  no_mask_ = embedding(*this, "no_mask_embed", width);
  torch::nn::Module& masks = group_at(*this, "mask_downscaling");
  halve1_ = masks.register_module("0", halving(1, kMaskChannels[0]));
  norm1_ = masks.register_module("1", ChannelNorm(kMaskChannels[0]));
  halve2_ = masks.register_module("3", halving(kMaskChannels[0], kMaskChannels[1]));
  norm2_ = masks.register_module("4", ChannelNorm(kMaskChannels[1]));
  widen_ = masks.register_module("6", Conv2d(torch::nn::Conv2dOptions(kMaskChannels[1], width, 1)));
}

// positions [..., 2], 0..1 -> [..., width]
at::Tensor PromptEncoderImpl::code(const at::Tensor& positions) {
  const at::Tensor turns = at::matmul(2 * positions - 1, frequencies_) * (2 * std::numbers::pi);
  return at::cat({at::sin(turns), at::cos(turns)}, -1);
}

// `code` of all cells, from sines and cosines of one row and one column: those of a sum of angles.
at::Tensor PromptEncoderImpl::dense_code(GridSize grid) {
  const auto turns = [&](int64_t axis, int64_t count) {  // [count, width / 2]
    const at::Tensor centres =
        (at::arange(count, frequencies_.options()) + 0.5) * kStride / static_cast<double>(image_size_);
    return (2 * centres - 1).unsqueeze(1) * frequencies_[axis] * (2 * std::numbers::pi);
  };
  const at::Tensor x = turns(0, grid.width), y = turns(1, grid.height).unsqueeze(1);
  const at::Tensor sin_x = x.sin(), cos_x = x.cos(), sin_y = y.sin(), cos_y = y.cos();
  return at::cat({sin_x * cos_y + cos_x * sin_y, cos_x * cos_y - sin_x * sin_y}, -1)
      .permute({2, 0, 1})
      .unsqueeze(0);
}

at::Tensor PromptEncoderImpl::embed_points(const Prompts& prompts) {
  at::Tensor points = prompts.points + 0.5, labels = prompts.labels;
  TORCH_CHECK(points.dim() == 3 && points.size(2) == 2 && labels.dim() == 2 &&
                  labels.sizes() == points.sizes().slice(0, 2),
              "prompts: expected points [B, N, 2] and labels [B, N], found ", points.sizes(), " and ",
              labels.sizes());
  if (!prompts.boxes.defined()) {  // as if the second corner were missing
    points = at::constant_pad_nd(points, {0, 0, 0, 1});
    labels = at::constant_pad_nd(labels, {0, 1}, -1);
  }
  labels = labels.unsqueeze(-1);
  const at::Tensor codes = code(points / static_cast<double>(image_size_));
  const at::Tensor placed = codes + at::where(labels == 1, point_embeddings_[1], point_embeddings_[0]);
  return at::where(labels == -1, not_a_point_, placed);
}

at::Tensor PromptEncoderImpl::embed_boxes(const at::Tensor& boxes) {
  TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "prompts: expected boxes [B, 4], found ",
              boxes.sizes());
  const at::Tensor corners = (boxes.view({-1, 2, 2}) + 0.5) / static_cast<double>(image_size_);
  return code(corners) + at::cat({point_embeddings_[2], point_embeddings_[3]});
}

at::Tensor PromptEncoderImpl::embed_masks(const at::Tensor& masks) {
  TORCH_CHECK(masks.dim() == 4 && masks.size(1) == 1, "prompts: expected masks [B, 1, h, w], found ",
              masks.sizes());
  return widen_(apply_gelu(norm2_(halve2_(apply_gelu(norm1_(halve1_(masks)))))));
}

PromptEmbedding PromptEncoderImpl::forward(const Prompts& prompts) {
  std::vector<at::Tensor> sparse;
  if (prompts.points.defined()) sparse.push_back(embed_points(prompts));
  if (prompts.boxes.defined()) sparse.push_back(embed_boxes(prompts.boxes));
  const at::Tensor dense =
      prompts.masks.defined() ? embed_masks(prompts.masks) : no_mask_.view({1, -1, 1, 1});
  const int64_t batch = sparse.empty() ? dense.size(0) : sparse[0].size(0);
  TORCH_CHECK((sparse.size() < 2 || sparse[1].size(0) == batch) &&
                  (!prompts.masks.defined() || dense.size(0) == batch),
              "prompts: expected as many boxes, points and masks, found ", batch, " and ",
              sparse.size() < 2 ? dense.size(0) : sparse[1].size(0));
  if (sparse.empty()) sparse.push_back(at::empty({batch, 0, no_mask_.size(1)}, no_mask_.options()));
  return {at::cat(sparse, 1), dense};
}

}  // namespace hqtrack
