#include "bench/baseline/plain_vmos.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <array>

namespace hqtrack::baseline {

PlainVmos::PlainVmos(const VmosImpl& network, const TrackerConfig& config)
    : weights_(network),
      config_(config),
      num_blocks_16x_(static_cast<size_t>(config.propagation_16x.num_blocks)) {}

// --- encoders

Features PlainVmos::encode(const at::Tensor& image) const {
  Features features =
      config_.encoder.type == "internimage" ? encode_internimage(image) : encode_efficientnet(image);
  features.stride_16 = weights_.conv("encoder_projector", features.stride_16);
  return features;
}

at::Tensor PlainVmos::internimage_block(const std::string& name, at::Tensor x, int64_t groups) const {
  const auto to_chw = [](const at::Tensor& cells) { return cells.permute({0, 3, 1, 2}); };
  const auto to_hwc = [](const at::Tensor& map) { return map.permute({0, 2, 3, 1}); };
  const int64_t channels = x.size(3);
  const at::Tensor in = weights_.layer_norm(name + "norm1.0", x, 1e-6);
  const at::Tensor query = at::gelu(
      weights_.layer_norm(name + "dcn.dw_conv.1.1",
                          to_hwc(weights_.conv(name + "dcn.dw_conv.0", to_chw(in), 1, 1, channels)), 1e-6));
  const at::Tensor mask =
      at::softmax(weights_.linear(name + "dcn.mask", query).unflatten(-1, {groups, 9}), -1).flatten(-2);
  const at::Tensor summed = dcnv3(weights_.linear(name + "dcn.input_proj", in),
                                  weights_.linear(name + "dcn.offset", query), mask, groups);
  x = x + weights_.at(name + "gamma1") * weights_.linear(name + "dcn.output_proj", summed);
  const at::Tensor wide =
      at::gelu(weights_.linear(name + "mlp.fc1", weights_.layer_norm(name + "norm2.0", x, 1e-6)));
  return x + weights_.at(name + "gamma2") * weights_.linear(name + "mlp.fc2", wide);
}

Features PlainVmos::encode_internimage(const at::Tensor& image) const {
  const auto strided = [&](const std::string& layer, const at::Tensor& x) {
    return weights_.conv(layer, x.permute({0, 3, 1, 2}), 2, 1).permute({0, 2, 3, 1});
  };
  at::Tensor x = strided("encoder.patch_embed.conv1", image.permute({0, 2, 3, 1}));
  x = at::gelu(weights_.layer_norm("encoder.patch_embed.norm1.1", x, 1e-6));
  x = weights_.layer_norm("encoder.patch_embed.norm2.1", strided("encoder.patch_embed.conv2", x), 1e-6);
  std::array<at::Tensor, 4> maps;
  for (size_t level = 0; level < 4; ++level) {
    const std::string name = "encoder.levels." + std::to_string(level) + ".";
    for (int64_t i = 0; i < config_.encoder.depths[level]; ++i) {
      x = internimage_block(name + "blocks." + std::to_string(i) + ".", x, config_.encoder.groups[level]);
    }
    x = weights_.layer_norm(name + "norm.0", x, 1e-6);
    maps[level] = x.permute({0, 3, 1, 2});
    if (level < 2) {
      x = weights_.layer_norm(name + "downsample.norm.1", strided(name + "downsample.conv", x), 1e-6);
    }
  }
  return {maps[0], maps[1], maps[3]};
}

Features PlainVmos::encode_efficientnet(const at::Tensor& image) const {
  struct Block {
    bool expands;
    int64_t kernel, stride;
    bool has_skip;
  };
  constexpr std::array<Block, 11> kBlocks = {
      Block{false, 3, 1, false}, Block{true, 3, 2, false}, Block{true, 3, 1, true}, Block{true, 5, 2, false},
      Block{true, 5, 1, true},   Block{true, 3, 2, false}, Block{true, 3, 1, true}, Block{true, 3, 1, true},
      Block{true, 5, 1, false},  Block{true, 5, 1, true},  Block{true, 5, 1, true}};
  const auto relu6 = [](const at::Tensor& map) { return at::clamp(map, 0, 6); };
  at::Tensor x = relu6(weights_.conv("encoder.stem", image, 2, 1));
  std::vector<at::Tensor> maps;
  for (size_t i = 0; i < kBlocks.size(); ++i) {
    const Block& block = kBlocks[i];
    const std::string name = "encoder.blocks." + std::to_string(i) + ".";
    const at::Tensor wide = block.expands ? relu6(weights_.conv(name + "expand", x)) : x;
    const at::Tensor mixed =
        relu6(weights_.conv(name + "dw", wide, block.stride, block.kernel / 2, wide.size(1)));
    const at::Tensor narrow = weights_.conv(name + "project", mixed);
    x = block.has_skip ? x + narrow : narrow;
    maps.push_back(x);
  }
  return {maps[2], maps[4], maps[10]};
}

// --- identity

IdentityEmbedding PlainVmos::embed_identity_labels(const at::Tensor& slots) const {
  const at::Tensor one_hot = at::one_hot(slots.to(at::kLong), 1 + config_.objects_per_engine)
                                 .permute({2, 0, 1})
                                 .unsqueeze(0)
                                 .to(weights_.at("id_norm.weight").options());
  const auto embed = [&](const std::string& bank, const std::string& norm) {
    return weights_.layer_norm(norm, weights_.conv(bank, one_hot, 16, 8).permute({0, 2, 3, 1}));
  };
  const at::Tensor coarse = embed("patch_wise_id_bank_s8", "id_norm_s8").permute({0, 3, 1, 2});
  const at::Tensor fine = at::upsample_nearest2d(coarse, {(slots.size(0) + 7) / 8, (slots.size(1) + 7) / 8});
  return {embed("patch_wise_id_bank", "id_norm").flatten(1, 2), to_tokens(fine)};
}

// --- propagation

std::string PlainVmos::block_name(size_t i) const {
  return i == num_blocks_16x_ ? "LSTT.layer_s8." : "LSTT.layers." + std::to_string(i) + ".";
}

const PropagationConfig& PlainVmos::sizes_of(size_t i) const {
  return i == num_blocks_16x_ ? config_.propagation_8x : config_.propagation_16x;
}

const LocalAttention& PlainVmos::local_attention(GridSize grid, at::Device device) const {
  return local_attentions_.try_emplace({grid.height, grid.width}, grid, config_.local_radius, device)
      .first->second;
}

BlockState PlainVmos::state_of(size_t i, const Branches& in) const {
  const std::string name = block_name(i);
  const PropagationConfig& sizes = sizes_of(i);
  const at::Tensor key_value =
      weights_.linear(name + "linear_QV", weights_.layer_norm(name + "norm1", in.visual));
  BlockState state;
  state.key = key_value.narrow(-1, 0, sizes.key_width).contiguous();
  state.value = at::silu(key_value.narrow(-1, sizes.key_width, 2 * sizes.width));
  if (i > 0) state.identity = weights_.layer_norm(name + "id_norm1", in.identity);
  return state;
}

MemoryFrame PlainVmos::memorize(size_t i, const BlockState& state, const at::Tensor& embedding) const {
  const at::Tensor in = i == 0 ? embedding : at::cat({state.identity, embedding}, -1);
  const at::Tensor identity = at::silu(weights_.linear(block_name(i) + "linear_ID_V", in));
  return {state.key, at::cat({state.value, identity}, -1), {}};
}

at::Tensor PlainVmos::project(const std::string& attention, const at::Tensor& values, const at::Tensor& gate,
                              GridSize grid) const {
  const at::Tensor gated = to_map(values * gate, grid);
  return weights_.linear(attention + "projection",
                         to_tokens(weights_.conv(attention + "dw_conv.conv", gated, 1, 2, gated.size(1))));
}

at::Tensor PlainVmos::attend_to_itself(const std::string& name, const Branches& in, GridSize grid,
                                       int64_t pool) const {
  const at::Tensor visual = weights_.layer_norm(name + "norm2", in.visual),
                   identity = weights_.layer_norm(name + "id_norm2", in.identity);
  const std::string self = name + "self_attn.";
  const at::Tensor query = weights_.linear(self + "linear_QK", at::cat({visual, identity}, -1));
  const at::Tensor value = at::silu(at::cat(
      {weights_.linear(self + "linear_V1", visual), weights_.linear(self + "linear_V2", identity)}, -1));
  const at::Tensor gate = at::silu(at::cat(
      {weights_.linear(self + "linear_U1", visual), weights_.linear(self + "linear_U2", identity)}, -1));
  const auto pooled = [&](const at::Tensor& tokens) {
    return pool == 1 ? tokens : to_tokens(at::avg_pool2d(to_map(tokens, grid), pool, pool, 0, true));
  };
  return project(self, attend(query, pooled(query), pooled(value)), gate, grid);
}

PlainVmos::Branches PlainVmos::run_block(size_t i, const Branches& in, const BlockState& state,
                                         const MemoryFrame& long_term, const MemoryFrame& short_term,
                                         GridSize grid) const {
  const std::string name = block_name(i);
  const int64_t width = sizes_of(i).width;
  const at::Tensor gate_visual =
      at::silu(weights_.linear(name + "linear_U", weights_.layer_norm(name + "norm1", in.visual)));
  const at::Tensor gate_identity =
      i == 0 ? at::ones_like(gate_visual) : at::silu(weights_.linear(name + "linear_ID_U", state.identity));
  const at::Tensor gate = at::cat({gate_visual, gate_identity}, -1);
  const at::Tensor from_long =
      project(name + "long_term_attn.", attend(state.key, long_term.key, long_term.value), gate, grid);
  const at::Tensor relative =
      to_tokens(weights_.conv(name + "short_term_attn.relative_emb_k", to_map(state.key, grid)));
  const at::Tensor from_short =
      project(name + "short_term_attn.",
              local_attention(grid, gate.device())(state.key, short_term.key, short_term.value, relative),
              gate, grid);
  const at::Tensor change = from_long + from_short;
  Branches out{in.visual + change.narrow(-1, 0, width), change.narrow(-1, width, width)};
  if (i > 0) out.identity = in.identity + out.identity;
  const at::Tensor mixed = attend_to_itself(name, out, grid, sizes_of(i).self_pool);
  return {out.visual + mixed.narrow(-1, 0, width), out.identity + mixed.narrow(-1, width, width)};
}

// --- fusion, head

at::Tensor PlainVmos::residual(const std::string& layer, at::Tensor x) const {
  for (const char* unit : {".res1.", ".res2."}) {
    const std::string name = layer + unit;
    const at::Tensor inner =
        at::relu(weights_.group_norm(name + "gn1", weights_.conv(name + "conv1", at::relu(x), 1, 1), 8));
    x = x + weights_.group_norm(name + "gn2", weights_.conv(name + "conv2", inner, 1, 1), 8);
  }
  return x;
}

PlainVmos::Branches PlainVmos::fuse(const std::string& scale, const at::Tensor& features,
                                    const Branches& coarser) const {
  const at::Tensor projected = weights_.conv("LSTT." + scale + "_proj", features);
  const auto branch = [&](const std::string& suffix, const at::Tensor& map) {
    const std::string in = "LSTT." + scale + "_cons_in" + suffix;
    const at::Tensor reduced = at::relu(weights_.group_norm(in + ".gn", weights_.conv(in + ".conv", map), 8));
    return at::relu(residual("LSTT." + scale + "_cons_out" + suffix,
                             projected + resize_bilinear(reduced, grid_of(features))));
  };
  return {branch("", coarser.visual), branch("_id", coarser.identity)};
}

template <class Memory>
PlainVmos::Branches PlainVmos::run_trunk(const Features& features, std::vector<BlockState>& states,
                                         Memory memory) const {
  const GridSize grid_16 = grid_of(features.stride_16), grid_8 = grid_of(features.stride_8);
  Branches tokens{to_tokens(features.stride_16), {}};
  std::vector<at::Tensor> visuals, identities;
  const auto run = [&](size_t i, const Branches& in, GridSize grid) {
    states.push_back(state_of(i, in));
    const auto [long_term, short_term] = memory(i, states.back());
    return run_block(i, in, states.back(), long_term, short_term, grid);
  };
  for (size_t i = 0; i < num_blocks_16x_; ++i) {
    tokens = run(i, tokens, grid_16);
    visuals.push_back(tokens.visual);
    identities.push_back(tokens.identity);
  }
  const Branches fused =
      fuse("s8", features.stride_8,
           {to_map(at::cat(visuals, -1), grid_16), to_map(at::cat(identities, -1), grid_16)});
  tokens = run(num_blocks_16x_, {to_tokens(fused.visual), to_tokens(fused.identity)}, grid_8);
  return {to_map(tokens.visual, grid_8), to_map(tokens.identity, grid_8)};
}

std::vector<MemoryFrame> PlainVmos::reference(const Features& features,
                                              const IdentityEmbedding& embedding) const {
  std::vector<BlockState> states;
  std::vector<MemoryFrame> frames;
  run_trunk(features, states, [&](size_t i, const BlockState& state) {
    frames.push_back(memorize(i, state, i == num_blocks_16x_ ? embedding.stride_8 : embedding.stride_16));
    return std::pair(frames.back(), frames.back());
  });
  return frames;
}

VmosImpl::Step PlainVmos::propagate(const Features& features, const std::vector<MemoryFrame>& long_term,
                                    const std::vector<MemoryFrame>& short_term) const {
  VmosImpl::Step step;
  const Branches at_8x = run_trunk(features, step.states, [&](size_t i, const BlockState&) {
    return std::pair(long_term[i], short_term[i]);
  });
  const Branches at_4x = fuse("s4", features.stride_4, at_8x);
  const at::Tensor normed =
      weights_.group_norm("LSTT.decoder_norms_s4.0.gn", at::cat({at_4x.visual, at_4x.identity}, 1), 2);
  const at::Tensor hidden =
      weights_.group_norm("conv_output1.gn", weights_.conv("conv_output1.conv", normed, 1, 1), 8);
  step.logits = weights_.conv("conv_output2", at::relu(hidden));
  return step;
}

std::vector<MemoryFrame> PlainVmos::memorize(const std::vector<BlockState>& states,
                                             const IdentityEmbedding& embedding) const {
  std::vector<MemoryFrame> frames;
  for (size_t i = 0; i < states.size(); ++i) {
    frames.push_back(memorize(i, states[i], i == num_blocks_16x_ ? embedding.stride_8 : embedding.stride_16));
  }
  return frames;
}

}  // namespace hqtrack::baseline
