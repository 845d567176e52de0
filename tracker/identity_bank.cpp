#include "tracker/identity_bank.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <algorithm>

#include "core/threads.h"

namespace hqtrack {
namespace {

constexpr int64_t kKernel = 17, kStride = 16, kPadding = 8;

torch::nn::Conv2d bank(int64_t num_slots, int64_t width) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(1 + num_slots, width, kKernel).stride(kStride).padding(kPadding));
}

torch::nn::LayerNorm layer_norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}));
}

}  // namespace

IdentityBank::IdentityBank(torch::nn::Module& parent, int64_t num_slots, int64_t width_16x, int64_t width_8x)
    : num_slots_(num_slots),
      bank_16_(parent.register_module("patch_wise_id_bank", bank(num_slots, width_16x))),
      bank_8_(parent.register_module("patch_wise_id_bank_s8", bank(num_slots, width_8x))),
      norm_16_(parent.register_module("id_norm", layer_norm(width_16x))),
      norm_8_(parent.register_module("id_norm_s8", layer_norm(width_8x))) {}

IdentityEmbedding IdentityBank::finish(const at::Tensor& cells_16, const at::Tensor& cells_8, int64_t height,
                                       int64_t width) {
  const at::Tensor map_8 = norm_8_(cells_8.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
  IdentityEmbedding embedding;
  embedding.stride_16 = norm_16_(to_tokens(cells_16));
  embedding.stride_8 = to_tokens(at::upsample_nearest2d(map_8, {(height + 7) / 8, (width + 7) / 8}));
  return embedding;
}

IdentityEmbedding IdentityBank::embed(const at::Tensor& one_hot) {
  TORCH_CHECK(one_hot.dim() == 4 && one_hot.size(1) == 1 + num_slots_, "identity bank: expected [B, ",
              1 + num_slots_, ", H, W], found ", one_hot.sizes());
  return finish(bank_16_(one_hot), bank_8_(one_hot), one_hot.size(2), one_hot.size(3));
}

void IdentityBank::make_table() {
  const auto bank_table = [](const at::Tensor& weight) { return weight.detach().permute({2, 3, 1, 0}); };
  const at::Tensor weights =
      at::cat({bank_table(bank_16_->weight), bank_table(bank_8_->weight)}, -1).to(at::kCPU);
  table_ =
      at::constant_pad_nd(weights.cumsum(1, at::kDouble).to(at::kFloat), {0, 0, 0, 0, 1, 0}).contiguous();
  table_bias_ = at::cat({bank_16_->bias.detach(), bank_8_->bias.detach()}, 0).to(at::kCPU);
}

IdentityEmbedding IdentityBank::embed_labels(const at::Tensor& slots) {
  TORCH_CHECK(slots.dim() == 2 && slots.scalar_type() == at::kByte && slots.device().is_cpu(),
              "identity bank: expected uint8 [H, W] on the CPU, found ", slots.toString(), " ",
              slots.sizes());
  if (!table_.defined()) make_table();
  const at::Tensor labels = slots.contiguous();
  const int64_t height = labels.size(0), width = labels.size(1), channels = table_.size(3),
                classes = 1 + num_slots_;
  const GridSize grid{cells(height, kStride), cells(width, kStride)};
  at::Tensor sums = at::empty({grid.height, grid.width, channels}, table_.options());
  const uint8_t* label = labels.const_data_ptr<uint8_t>();
  const float* table = table_.const_data_ptr<float>();
  const float* bias = table_bias_.const_data_ptr<float>();
  float* out = sums.mutable_data_ptr<float>();
  share_out(grid.height, [&](int64_t cell_row) {
    for (int64_t cell = cell_row * grid.width; cell < (cell_row + 1) * grid.width; ++cell) {
      const int64_t y0 = cell / grid.width * kStride - kPadding, x0 = cell % grid.width * kStride - kPadding;
      float* sum = out + cell * channels;
      std::copy_n(bias, channels, sum);
      const int64_t end = std::min(width, x0 + kKernel);
      for (int64_t y = std::max<int64_t>(0, y0); y < std::min(height, y0 + kKernel); ++y) {
        const uint8_t* line = label + y * width;
        for (int64_t x = std::max<int64_t>(0, x0), first = x; x < end; first = x) {
          while (++x < end && line[x] == line[first]) {
          }
          const auto entry = [&](int64_t column) {
            return table + (((y - y0) * (kKernel + 1) + column - x0) * classes + line[first]) * channels;
          };
          const float *to_end = entry(x), *to_first = entry(first);
          for (int64_t c = 0; c < channels; ++c) sum[c] += to_end[c] - to_first[c];
        }
      }
    }
  });
  const at::Tensor map = sums.to(bank_16_->weight.device()).permute({2, 0, 1}).unsqueeze(0);
  const int64_t width_16 = bank_16_->weight.size(0);
  return finish(map.narrow(1, 0, width_16), map.narrow(1, width_16, channels - width_16), height, width);
}

}  // namespace hqtrack
