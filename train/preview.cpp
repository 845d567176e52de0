#include "train/preview.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <utility>
#include <vector>

#include "refiner/preprocess.h"
#include "train/random.h"
#include "train/refiner_questions.h"

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

/// The still with the first prompt of a group drawn into it.
at::Tensor draw_prompt(const Still& still, const Questions& questions) {
  at::Tensor drawn = still.image.clone();
  const Prompts& prompts = questions.prompts;
  if (prompts.masks.defined()) {
    const at::Tensor inside = prompts.masks[0][0].gt(0).to(at::kByte);
    const at::Tensor fine = inside.repeat_interleave(4, 0).repeat_interleave(4, 1);
    drawn = paint(drawn, fine.slice(0, 0, drawn.size(0)).slice(1, 0, drawn.size(1)).contiguous());
  }
  cv::Mat picture(static_cast<int>(drawn.size(0)), static_cast<int>(drawn.size(1)), CV_8UC3,
                  drawn.mutable_data_ptr());
  const cv::Scalar yellow(255, 225, 25), green(60, 220, 75), red(230, 25, 75);
  if (prompts.boxes.defined()) {
    const float* const box = prompts.boxes.const_data_ptr<float>();
    cv::rectangle(picture, cv::Point2f(box[0], box[1]), cv::Point2f(box[2], box[3]), yellow, 3);
  }
  for (int64_t i = 0; prompts.points.defined() && i < prompts.points.size(1); ++i) {
    const float* const point = prompts.points.const_data_ptr<float>() + 2 * i;
    const bool is_on = prompts.labels[0][i].item<int64_t>() == 1;
    cv::circle(picture, cv::Point2f(point[0], point[1]), 8, is_on ? green : red, cv::FILLED);
  }
  return drawn;
}

/// Half the size, on a square that is black beyond the picture.
at::Tensor tile_of(const at::Tensor& picture, int64_t side) {
  const at::Tensor half = picture.slice(0, 0, picture.size(0), 2).slice(1, 0, picture.size(1), 2);
  return at::constant_pad_nd(half, {0, 0, 0, side - half.size(1), 0, side - half.size(0)});
}

}  // namespace

at::Tensor preview_sheet(const ClipSource& clips, int64_t rows) {
  std::vector<at::Tensor> sheet;
  for (int64_t row = 0; row < rows; ++row) {
    const Clip clip = clips.example(row);
    std::vector<at::Tensor> tiles;
    for (int64_t frame = 0; frame < clip.images.size(0); ++frame) {
      tiles.push_back(clip.images[frame]);
      tiles.push_back(paint(clip.images[frame], clip.labels[frame]));
    }
    sheet.push_back(at::cat(tiles, 1));
  }
  return at::cat(sheet, 0).contiguous();
}

at::Tensor preview_sheet(const StillSource& stills, const TrainConfig& config, int64_t rows) {
  constexpr size_t kColumns = 6;
  std::vector<std::vector<at::Tensor>> pictures;
  int64_t side = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const Still still = stills.example(row);
    const GridSize size{still.labels.size(0), still.labels.size(1)};
    side = std::max({side, (size.height + 1) / 2, (size.width + 1) / 2});
    Random random(static_cast<uint64_t>(config.seed), static_cast<uint64_t>(row));
    std::vector<at::Tensor> columns(kColumns, at::zeros_like(still.image));
    columns[0] = still.image;
    columns[1] = paint(still.image, still.labels);
    const GridSize input = input_size(size, {.is_square = false}, /*image_size=*/0);
    for (const Questions& questions : random_questions(still, input, config.refiner, random)) {
      columns[2 + static_cast<size_t>(questions.kind)] = draw_prompt(still, questions);
    }
    pictures.push_back(std::move(columns));
  }
  std::vector<at::Tensor> sheet;
  for (const auto& columns : pictures) {
    std::vector<at::Tensor> tiles;
    for (const at::Tensor& picture : columns) tiles.push_back(tile_of(picture, side));
    sheet.push_back(at::cat(tiles, 1));
  }
  return at::cat(sheet, 0).contiguous();
}

}  // namespace hqtrack
