#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <string>
#include <unordered_map>

namespace hqtrack::baseline {

/// The parameters of a network by name, and LibTorch's own layers with them. Names are those of a layer:
/// "LSTT.s8_proj" stands for its weight and, where it has one, its bias. Shares memory with the network.
class Parameters {
 public:
  explicit Parameters(const torch::nn::Module& network);

  /// Throws c10::Error when there is none of that name.
  const at::Tensor& at(const std::string& name) const;

  at::Tensor linear(const std::string& layer, const at::Tensor& x) const;
  at::Tensor conv(const std::string& layer, const at::Tensor& map, int64_t stride = 1, int64_t padding = 0,
                  int64_t groups = 1) const;
  at::Tensor layer_norm(const std::string& layer, const at::Tensor& x, double eps = 1e-5) const;
  at::Tensor group_norm(const std::string& layer, const at::Tensor& map, int64_t groups) const;

 private:
  at::Tensor bias_of(const std::string& layer) const;

  std::unordered_map<std::string, at::Tensor> tensors_;
};

}  // namespace hqtrack::baseline
