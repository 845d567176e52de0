#include "core/layers.h"

#include <ATen/ops/upsample_bilinear2d.h>

#include <memory>
#include <utility>

namespace hqtrack {
namespace {

thread_local ProbeScope* current_probe = nullptr;

struct Group : torch::nn::Module {};

}  // namespace

ProbeScope::ProbeScope(Observer observer) : observer_(std::move(observer)), previous_(current_probe) {
  current_probe = this;
}
ProbeScope::~ProbeScope() { current_probe = previous_; }
bool is_probed() { return current_probe != nullptr; }
void probe(const std::string& name, const at::Tensor& value) {
  if (current_probe) current_probe->observer_(name, value);
}

torch::nn::Module& group_at(torch::nn::Module& parent, std::string_view path) {
  const size_t dot = path.find('.');
  const std::string name(path.substr(0, dot));
  const auto children = parent.named_children();
  const auto* child = children.find(name);
  torch::nn::Module& group = child ? **child : *parent.register_module(name, std::make_shared<Group>());
  return dot == std::string_view::npos ? group : group_at(group, path.substr(dot + 1));
}

at::Tensor to_tokens(const at::Tensor& map) { return map.permute({0, 2, 3, 1}).flatten(1, 2); }

at::Tensor to_map(const at::Tensor& tokens, GridSize grid) {
  TORCH_CHECK(tokens.size(1) == grid.area(), "tokens: expected ", grid.height, " x ", grid.width, ", found ",
              tokens.size(1));
  return tokens.reshape({tokens.size(0), grid.height, grid.width, tokens.size(2)}).permute({0, 3, 1, 2});
}

GridSize grid_of(const at::Tensor& map) { return {map.size(-2), map.size(-1)}; }

at::Tensor resize_bilinear(const at::Tensor& map, GridSize grid) {
  return at::upsample_bilinear2d(map, {grid.height, grid.width}, /*align_corners=*/true);
}

}  // namespace hqtrack
