#include "train/preview.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <vector>

namespace hqtrack {
namespace {

/// Objects half covered by colours that are easy to tell apart; pixels that are not known grey.
at::Tensor paint(const at::Tensor& image, const at::Tensor& labels) {
  static const at::Tensor colours =
      at::tensor({230, 25,  75,  60,  180, 75, 67,  99, 216, 255, 225, 25, 240, 50,  230,
                  66,  212, 244, 245, 130, 49, 145, 30, 180, 188, 246, 12, 250, 190, 212},
                 at::kFloat)
          .view({10, 3});
  const at::Tensor number = labels.to(at::kLong);
  at::Tensor colour = colours.index_select(0, ((number - 1) % 10).clamp_min(0).flatten()).view(image.sizes());
  colour = at::where((number == 255).unsqueeze(-1), at::tensor({128, 128, 128}, at::kFloat), colour);
  const at::Tensor mixed = (image.to(at::kFloat) + colour) / 2;
  return at::where((number > 0).unsqueeze(-1), mixed, image.to(at::kFloat)).to(at::kByte);
}

}  // namespace

at::Tensor preview_sheet(const ClipSource& clips, int64_t rows) {
  std::vector<at::Tensor> sheet;
  for (int64_t row = 0; row < rows; ++row) {
    const Clip clip = clips.clip(row);
    std::vector<at::Tensor> tiles;
    for (int64_t frame = 0; frame < clip.images.size(0); ++frame) {
      tiles.push_back(clip.images[frame]);
      tiles.push_back(paint(clip.images[frame], clip.labels[frame]));
    }
    sheet.push_back(at::cat(tiles, 1));
  }
  return at::cat(sheet, 0).contiguous();
}

}  // namespace hqtrack
