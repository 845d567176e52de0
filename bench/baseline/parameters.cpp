#include "bench/baseline/parameters.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

namespace hqtrack::baseline {

Parameters::Parameters(const torch::nn::Module& network) {
  for (const auto& parameter : network.named_parameters()) {
    tensors_[parameter.key()] = parameter.value().detach();
  }
}

const at::Tensor& Parameters::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  TORCH_CHECK(found != tensors_.end(), "baseline: no parameter '", name, "'");
  return found->second;
}

at::Tensor Parameters::bias_of(const std::string& layer) const {
  const auto found = tensors_.find(layer + ".bias");
  return found == tensors_.end() ? at::Tensor() : found->second;
}

at::Tensor Parameters::linear(const std::string& layer, const at::Tensor& x) const {
  return at::linear(x, at(layer + ".weight"), bias_of(layer));
}

at::Tensor Parameters::conv(const std::string& layer, const at::Tensor& map, int64_t stride, int64_t padding,
                            int64_t groups) const {
  return at::conv2d(map, at(layer + ".weight"), bias_of(layer), stride, padding, 1, groups);
}

at::Tensor Parameters::layer_norm(const std::string& layer, const at::Tensor& x, double eps) const {
  const at::Tensor& weight = at(layer + ".weight");
  return at::layer_norm(x, weight.sizes(), weight, bias_of(layer), eps);
}

at::Tensor Parameters::group_norm(const std::string& layer, const at::Tensor& map, int64_t groups) const {
  return at::group_norm(map, groups, at(layer + ".weight"), bias_of(layer));
}

}  // namespace hqtrack::baseline
