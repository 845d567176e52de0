#include "train/start_values.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/randn_like.h>
#include <torch/nn/init.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "train/frame_features.h"

namespace hqtrack {
namespace {

constexpr double kOpenGate = 1.28;             // silu(1.28) = 1
constexpr double kKey16x = 1.2, kKey8x = 1.4;  // at these lengths of keys the softmax tells like from unlike
constexpr double kLocalSigma = 4;              // cells: how far short-term attention looks at first
constexpr double kCarried = 0.5;               // of an identity comes out of each of the two attentions
constexpr double kLeastVariance = 1e-6;        // of the largest: smaller ones are taken for that
constexpr double kRandomShare = 0.01;  // of the random weights stays where features of the encoder come in

/// The parameters of a network by their names.
class Parameters {
 public:
  explicit Parameters(const torch::nn::Module& network) : all_(network.named_parameters()) {}
  at::Tensor operator[](const std::string& name) const { return all_[name]; }
  bool contains(const std::string& name) const { return all_.contains(name); }

 private:
  torch::OrderedDict<std::string, at::Tensor> all_;
};

at::Tensor rows(const at::Tensor& matrix, int64_t first, int64_t count) {
  return matrix.narrow(0, first, count);
}

at::Tensor orthogonal(int64_t num_rows, int64_t num_columns) {
  return torch::nn::init::orthogonal_(at::empty({num_rows, num_columns}));
}

/// `axes` (x - mean): the leading principal components of x, the stronger ones damped by the square root of
/// their deviation, mean square 1.
struct Components {
  at::Tensor axes, mean;  // [count, channels], [channels]
};

Components leading_components(const at::Tensor& map, int64_t most) {
  const at::Tensor samples = map.permute({0, 2, 3, 1}).flatten(0, 2).to(at::kDouble);
  const at::Tensor mean = samples.mean(0), centred = samples - mean;
  const at::Tensor covariance = centred.t().mm(centred) / static_cast<double>(samples.size(0));
  auto [variances, directions] = at::linalg_eigh(covariance);  // ascending
  const int64_t channels = samples.size(1), count = std::min(most, channels);
  const at::Tensor least = variances[channels - 1] * kLeastVariance;
  variances = variances.narrow(0, channels - count, count).flip(0).maximum(least);
  at::Tensor axes = (directions.narrow(1, channels - count, count).flip(1) * variances.pow(-0.25)).t();
  axes = axes / axes.mm(covariance).mul(axes).sum(1).mean().sqrt();
  return {axes.to(at::kFloat), mean.to(at::kFloat)};
}

/// A 1x1 convolution [width, channels, 1, 1] gives `scale` times the components on its first channels, added
/// to what it has.
void add_components(const at::Tensor& weight, const at::Tensor& bias, const Components& components,
                    double scale) {
  const int64_t count = components.axes.size(0);
  rows(weight, 0, count).flatten(1).add_(components.axes, scale);
  rows(bias, 0, count).sub_(components.axes.mv(components.mean), scale);
}

/// Linear layers as Glorot and Bengio start them.
void start_linear(const Parameters& parameters, const std::string& layer, double factor, double bias = 0) {
  torch::nn::init::xavier_uniform_(parameters[layer + ".weight"]);
  parameters[layer + ".weight"].mul_(factor);
  parameters[layer + ".bias"].fill_(bias);
}

/// A code I of each identity goes into the values as (I, -I), passes their SiLU, and comes out as
/// silu(x) - silu(-x) = x.
void start_block(const Parameters& parameters, const std::string& block, const PropagationConfig& config,
                 bool is_8x) {
  const int64_t d = config.width, key_width = config.key_width;
  start_linear(parameters, block + ".linear_QV", 1);
  const at::Tensor keys = rows(parameters[block + ".linear_QV.weight"], 0, key_width);
  keys.mul_(is_8x ? 0.1 : 0).add_(at::eye(key_width, d), is_8x ? kKey8x : kKey16x);
  start_linear(parameters, block + ".linear_U", 0.3, kOpenGate);

  const at::Tensor code = orthogonal(d, d);
  start_linear(parameters, block + ".linear_ID_V", 0.15);
  const at::Tensor identity_values = parameters[block + ".linear_ID_V.weight"];
  identity_values.narrow(1, identity_values.size(1) - d, d).add_(at::cat({code, -code}));
  if (parameters.contains(block + ".linear_ID_U.weight")) {
    start_linear(parameters, block + ".linear_ID_U", 0.3, kOpenGate);
  }

  for (const char* name : {"linear_QK", "linear_V1", "linear_V2", "linear_U1", "linear_U2"}) {
    start_linear(parameters, block + ".self_attn." + name, 1);
  }
  for (const std::string attention : {"long_term_attn", "short_term_attn", "self_attn"}) {
    const std::string path = block + "." + attention;
    const at::Tensor kernel = parameters[path + ".dw_conv.conv.weight"];  // [4 d, 1, 5, 5]
    kernel.mul_(0.1).select(3, 2).select(2, 2).add_(1);
    start_linear(parameters, path + ".projection", 0.15);
    if (attention == "self_attn") continue;
    rows(parameters[path + ".projection.weight"], d, d)
        .narrow(1, 2 * d, 2 * d)
        .add_(at::cat({code.t(), -code.t()}, 1), kCarried);
  }
}

void start_local_attention(const Parameters& parameters, const std::string& block, int64_t radius) {
  const std::string path = block + ".short_term_attn.relative_emb_k";
  parameters[path + ".weight"].mul_(0.1);
  const at::Tensor squares = at::arange(-radius, radius + 1, at::kFloat).square();
  const at::Tensor distances = squares.unsqueeze(1) + squares.unsqueeze(0);
  parameters[path + ".bias"].copy_(distances.flatten() / (-2 * kLocalSigma * kLocalSigma));
}

/// Every slot has a code of its own, of mean square 1 where it covers the whole window, nearly constant over
/// it.
void start_identity_bank(const Parameters& parameters, const std::string& bank) {
  const at::Tensor weight = parameters[bank + ".weight"];  // [width, slots, k, k]
  const int64_t width = weight.size(0), window = weight.size(2) * weight.size(3);
  const at::Tensor code = orthogonal(width, weight.size(1)) * std::sqrt(static_cast<double>(width));
  weight.copy_(code.view({width, -1, 1, 1}) / static_cast<double>(window) *
               (1 + 0.05 * at::randn_like(weight)));
  parameters[bank + ".bias"].zero_();
}

void start_fusion(const Parameters& parameters, const std::string& scale, const at::Tensor& features) {
  const at::Tensor weight = parameters[scale + "_proj.weight"], bias = parameters[scale + "_proj.bias"];
  weight.mul_(kRandomShare);
  bias.zero_();
  add_components(weight, bias, leading_components(features, weight.size(0)), 0.5);
  for (const char* out : {"_cons_out", "_cons_out_id"}) {
    for (const char* unit : {".res1", ".res2"}) parameters[scale + out + unit + ".gn2.weight"].fill_(0.25);
  }
}

/// The first channels of the first block arrive as pairs (x, -x), which together pass the ReLU behind the
/// norm.
void start_first_fusion(const at::Tensor& weight) {  // [width, blocks * width 16x, 1, 1]
  weight.mul_(0.3);
  for (int64_t i = 0; i < weight.size(0) / 2; ++i) {
    weight[2 * i][i] += 1;
    weight[2 * i + 1][i] -= 1;
  }
}

}  // namespace

void set_start_values(Vmos& network, const TrackerConfig& config, const at::Tensor& images) {
  const at::NoGradGuard no_gradients;
  const Parameters parameters(*network);
  const Features features = frozen_backbone_features(network, images);

  const at::Tensor projector = parameters["encoder_projector.weight"];
  projector.zero_();
  parameters["encoder_projector.bias"].zero_();
  add_components(projector, parameters["encoder_projector.bias"],
                 leading_components(features.stride_16, config.propagation_16x.width), 1);

  for (int64_t i = 0; i < config.propagation_16x.num_blocks; ++i) {
    const std::string block = "LSTT.layers." + std::to_string(i);
    start_block(parameters, block, config.propagation_16x, /*is_8x=*/false);
    start_local_attention(parameters, block, config.local_radius);
  }
  start_block(parameters, "LSTT.layer_s8", config.propagation_8x, /*is_8x=*/true);
  start_local_attention(parameters, "LSTT.layer_s8", config.local_radius);

  start_identity_bank(parameters, "patch_wise_id_bank");
  start_identity_bank(parameters, "patch_wise_id_bank_s8");
  start_fusion(parameters, "LSTT.s8", features.stride_8);
  start_fusion(parameters, "LSTT.s4", features.stride_4);
  start_first_fusion(parameters["LSTT.s8_cons_in.conv.weight"]);
}

}  // namespace hqtrack
