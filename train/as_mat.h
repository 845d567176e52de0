#pragma once

#include <ATen/core/Tensor.h>

#include <opencv2/core/mat.hpp>

namespace hqtrack {

/// The same pixels, uint8 [H, W, 3] as CV_8UC3 or [H, W] as CV_8UC1, contiguous. The tensor has to stay.
inline cv::Mat as_mat(const at::Tensor& tensor) {
  const int type = tensor.dim() == 3 ? CV_8UC3 : CV_8UC1;
  return {static_cast<int>(tensor.size(0)), static_cast<int>(tensor.size(1)), type, tensor.data_ptr()};
}

}  // namespace hqtrack
