#include "train/frame_features.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <vector>

namespace hqtrack {

at::Tensor normalize_images(const at::Tensor& images, const PreprocessConfig& config) {
  const auto options = at::TensorOptions(images.device()).dtype(at::kFloat);
  const at::Tensor mean = at::tensor(at::ArrayRef<double>(config.mean), options);
  const at::Tensor std = at::tensor(at::ArrayRef<double>(config.std), options);
  return (images.to(at::kFloat) / 255 - mean).div(std).permute({0, 3, 1, 2});
}

Features frozen_backbone_features(Vmos& network, const at::Tensor& images) {
  constexpr int64_t kAtOnce = 4;
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> at_4, at_8, at_16;
  for (const at::Tensor& part : images.split(kAtOnce)) {
    const Features features = network->encode_backbone(part);
    at_4.push_back(features.stride_4);
    at_8.push_back(features.stride_8);
    at_16.push_back(features.stride_16);
  }
  return {at::cat(at_4), at::cat(at_8), at::cat(at_16)};
}

}  // namespace hqtrack
