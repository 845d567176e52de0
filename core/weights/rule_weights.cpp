#include "core/weights/rule_weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/threads.h"

namespace hqtrack {
namespace {

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

double fan_in(at::IntArrayRef shape) {
  double product = 1;
  for (size_t i = 1; i < shape.size(); ++i) product *= static_cast<double>(shape[i]);
  return product;
}

struct Range {
  double base, scale;
};

Range vmos_range(const std::string& name, at::IntArrayRef shape) {
  const std::string last = last_part(name);
  if (last == "gamma1" || last == "gamma2") return {1.0, 0.1f};
  if (shape.size() == 1) return last == "bias" ? Range{0.0, 0.05f} : Range{1.0, 0.1f};
  const double gain = name == "conv_output2.weight" ? 4.0 : 1.0;
  return {0.0, static_cast<float>(gain * std::sqrt(3.0 / fan_in(shape)))};
}

bool is_embedding(const std::string& name) {
  constexpr std::array kEndings = {"iou_token.weight", "mask_tokens.weight", "hf_token.weight",
                                   "not_a_point_embed.weight", "no_mask_embed.weight"};
  return name.find("point_embeddings.") != std::string::npos ||
         std::ranges::any_of(kEndings, [&](const char* ending) { return name.ends_with(ending); });
}

double hq_sam_gain(const std::string& name) {
  const auto holds = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (holds("output_hypernetworks_mlps.") || holds("iou_prediction_head.")) return 1.5;
  return holds("hf_mlp.") ? 0.9 : 1.0;
}

}  // namespace

uint64_t fnv1a64(const void* data, size_t size, uint64_t hash) {
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3ull;
  return hash;
}

at::Tensor rule_uniform(const std::string& name, at::IntArrayRef shape) {
  const uint64_t seed = fnv1a64(name.data(), name.size());
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* const out = tensor.mutable_data_ptr<float>();
  constexpr int64_t kPiece = 1 << 18;
  share_out((tensor.numel() + kPiece - 1) / kPiece, [&](int64_t piece) {
    for (int64_t i = piece * kPiece; i < std::min(tensor.numel(), (piece + 1) * kPiece); ++i) {
      uint64_t z = seed + (static_cast<uint64_t>(i) + 1) * 0x9E3779B97F4A7C15ull;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
      z ^= z >> 31;
      out[i] = static_cast<float>(static_cast<int64_t>(z >> 40)) * 0x1p-23f - 1.0f;
    }
  });
  return tensor;
}

at::Tensor vmos_rule_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape) {
  const Range range = vmos_range(name, shape);
  at::Tensor tensor = rule_uniform(salt + name, shape);
  float* const values = tensor.mutable_data_ptr<float>();
  // In double: rounded once.
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(range.base + range.scale * static_cast<double>(values[i]));
  }
  return tensor;
}

void fill_by_vmos_rule(torch::nn::Module& network, const std::string& salt) {
  const at::NoGradGuard guard;
  for (auto& parameter : network.named_parameters()) {
    parameter.value().copy_(vmos_rule_weight(salt, parameter.key(), parameter.value().sizes()));
  }
}

HqSamRule hq_sam_rule(const std::string& name, at::IntArrayRef shape) {
  const std::string last = last_part(name);
  if (last == "num_batches_tracked") return {0, 0};
  if (last == "running_mean") return {0, 0.05};
  if (last == "running_var") return {1, 0.25, true};
  if (last == "positional_encoding_gaussian_matrix") return {0, 1};
  if (last == "pos_embed") return {0, 0.2};
  if (last == "rel_pos_h" || last == "rel_pos_w") return {0, 0.1};
  if (last == "attention_biases" || is_embedding(name)) return {0, 0.5};
  if (shape.size() == 1) return last == "bias" ? HqSamRule{0, 0.05} : HqSamRule{1, 0.1};
  return {0, std::sqrt(3.0 / fan_in(shape)) * hq_sam_gain(name)};
}

at::Tensor hq_sam_rule_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape) {
  if (name.ends_with("num_batches_tracked")) return at::zeros(shape, at::kLong);
  const HqSamRule rule = hq_sam_rule(name, shape);
  at::Tensor tensor = rule_uniform(salt + name, shape);
  if (rule.is_magnitude) tensor.abs_();
  tensor.mul_(static_cast<float>(rule.scale));
  if (rule.base != 0) tensor.add_(static_cast<float>(rule.base));
  return tensor;
}

void fill_by_hq_sam_rule(torch::nn::Module& network, const std::string& salt) {
  const at::NoGradGuard guard;
  const auto fill = [&](const std::string& name, at::Tensor& tensor) {
    tensor.copy_(hq_sam_rule_weight(salt, name, tensor.sizes()));
  };
  for (auto& parameter : network.named_parameters()) fill(parameter.key(), parameter.value());
  for (auto& buffer : network.named_buffers()) fill(buffer.key(), buffer.value());
}

}  // namespace hqtrack
