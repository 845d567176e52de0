#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hqtrack {

/// Height and width of a feature map; its tokens are its cells, row by row.
struct GridSize {
  int64_t height = 0, width = 0;
  int64_t area() const { return height * width; }
  bool operator==(const GridSize&) const = default;
};

/// Registers a layer under a dotted name ("norm1.1"), so that parameters carry the published checkpoints'
/// names. Returns the layer.
template <class Layer>
Layer register_at(torch::nn::Module& parent, std::string_view path, Layer layer);

/// [B, C, h, w] -> [B, h * w, C]; no copy when the map is channels-last.
at::Tensor to_tokens(const at::Tensor& map);
/// [B, h * w, C] -> [B, C, h, w] as a channels-last view.
at::Tensor to_map(const at::Tensor& tokens, GridSize grid);
GridSize grid_of(const at::Tensor& map);

/// Bilinear resize with align_corners = true.
at::Tensor resize_bilinear(const at::Tensor& map, GridSize grid);

/// Watches named intermediate tensors on this thread while it lives: how the parity program and the tests
/// look inside the network. Costs one branch a tensor when nobody watches.
class ProbeScope {
 public:
  using Observer = std::function<void(const std::string& name, const at::Tensor& value)>;
  explicit ProbeScope(Observer observer);
  ~ProbeScope();
  ProbeScope(const ProbeScope&) = delete;
  ProbeScope& operator=(const ProbeScope&) = delete;

 private:
  Observer observer_;
  ProbeScope* previous_;
  friend void probe(const std::string& name, const at::Tensor& value);
  friend bool is_probed();
};
void probe(const std::string& name, const at::Tensor& value);
bool is_probed();

/// The module at a dotted path below `parent`, created where it is missing.
torch::nn::Module& group_at(torch::nn::Module& parent, std::string_view path);

template <class Layer>
Layer register_at(torch::nn::Module& parent, std::string_view path, Layer layer) {
  const size_t dot = path.rfind('.');
  torch::nn::Module& owner = dot == std::string_view::npos ? parent : group_at(parent, path.substr(0, dot));
  return owner.register_module(std::string(dot == std::string_view::npos ? path : path.substr(dot + 1)),
                               layer);
}

}  // namespace hqtrack
