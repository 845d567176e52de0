#include "tracker/vmos.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/relu.h>

#include "core/error.h"
#include "core/profile.h"

namespace hqtrack {

const std::vector<std::string> kUnusedVmosWeights = {"decoder.", "LSTT.decoder_norms.0.gn.",
                                                     "encoder.levels.2.downsample."};

namespace {

// Holds what the checkpoints keep below "LSTT".
struct Lstt : torch::nn::Module {};

void check_sizes(const TrackerConfig& config) {
  const auto require = [](bool fits, const char* key, const char* expected, int64_t found) {
    if (!fits)
      throw ConfigError(std::string(key) + ": expected " + expected + ", found " + std::to_string(found));
  };
  require(config.propagation_16x.num_blocks >= 1, "tracker.propagation_16x.num_blocks", "at least 1",
          config.propagation_16x.num_blocks);
  require(config.propagation_8x.num_blocks == 1, "tracker.propagation_8x.num_blocks", "1",
          config.propagation_8x.num_blocks);
  require(config.propagation_8x.width % 8 == 0, "tracker.propagation_8x.width", "a multiple of 8",
          config.propagation_8x.width);
  require(config.width_4x % 8 == 0, "tracker.width_4x", "a multiple of 8", config.width_4x);
}

}  // namespace

VmosImpl::VmosImpl(const TrackerConfig& config) : objects_per_engine_(config.objects_per_engine) {
  check_sizes(config);
  encoder_ = register_module("encoder", make_encoder(config.encoder));
  const auto [channels_4, channels_8, channels_16] = encoder_->channels();
  const int64_t d16 = config.propagation_16x.width, d8 = config.propagation_8x.width, d4 = config.width_4x;
  encoder_projector_ =
      register_module("encoder_projector", Conv2d(torch::nn::Conv2dOptions(channels_16, d16, 1)));
  Lstt& lstt = *register_module("LSTT", std::make_shared<Lstt>());
  for (int64_t i = 0; i < config.propagation_16x.num_blocks; ++i) {
    blocks_16x_.push_back(register_at(
        lstt, "layers." + std::to_string(i),
        PropagationBlock(config.propagation_16x, config.local_radius, i == 0, "gpm16." + std::to_string(i))));
  }
  block_8x_ = register_at(lstt, "layer_s8",
                          PropagationBlock(config.propagation_8x, config.local_radius, false, "gpm8"));
  fusion_8x_ =
      std::make_unique<ScaleFusion>(lstt, "s8", channels_8, config.propagation_16x.num_blocks * d16, d8);
  fusion_4x_ = std::make_unique<ScaleFusion>(lstt, "s4", channels_4, d8, d4);
  head_norm_ = register_at(lstt, "decoder_norms_s4.0.gn",
                           torch::nn::GroupNorm(torch::nn::GroupNormOptions(2, 2 * d4)));
  identity_bank_ = std::make_unique<IdentityBank>(*this, objects_per_engine_, d16, d8);
  head_ = register_module("conv_output1", ConvGn(2 * d4, 2 * d4, 3));
  head_output_ =
      register_module("conv_output2", Conv2d(torch::nn::Conv2dOptions(2 * d4, 1 + objects_per_engine_, 1)));
}

Features VmosImpl::encode_backbone(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 4 && image.size(1) == 3 && image.size(2) % 16 == 1 && image.size(3) % 16 == 1,
              "VMOS: expected an image [B, 3, 16 k + 1, 16 k + 1], found ", image.sizes());
  return encoder_->encode(image);
}

Features VmosImpl::project(const Features& backbone) {
  Features features = backbone;
  features.stride_16 = encoder_projector_(backbone.stride_16);
  probe("enc.proj", features.stride_16);
  return features;
}

Features VmosImpl::encode(const at::Tensor& image) {
  const std::vector<at::Tensor> maps = encoding_.run(image, [&](const at::Tensor& input) {
    const Features features = project(encode_backbone(input));
    return std::vector<at::Tensor>{features.stride_4, features.stride_8, features.stride_16};
  });
  return {maps[0], maps[1], maps[2]};
}

IdentityEmbedding VmosImpl::embed_identity(const at::Tensor& one_hot) {
  return identity_bank_->embed(one_hot);
}

IdentityEmbedding VmosImpl::embed_identity_labels(const at::Tensor& slots) {
  return identity_bank_->embed_labels(slots);
}

// Runs all blocks; run_block(index, block, visual, identity, grid) gives a block's output. Returns the 8x
// maps.
template <class RunBlock>
ScaleFusion::Output VmosImpl::run_trunk(const Features& features, RunBlock run_block) {
  const GridSize grid_16 = grid_of(features.stride_16), grid_8 = grid_of(features.stride_8);
  at::Tensor visual = to_tokens(features.stride_16), identity;
  std::vector<at::Tensor> visuals, identities;
  for (size_t i = 0; i < blocks_16x_.size(); ++i) {
    const StageTimer timer(Stage::kBlocks16x);
    const auto out = run_block(i, blocks_16x_[i], visual, identity, grid_16);
    visuals.push_back(visual = out.visual);
    identities.push_back(identity = out.identity);
  }
  ScaleFusion::Output fused;
  {
    const StageTimer timer(Stage::kFusion);
    fused = fusion_8x_->fuse(features.stride_8, to_map(at::cat(visuals, -1), grid_16),
                             to_map(at::cat(identities, -1), grid_16), "fuse8");
  }
  const StageTimer timer(Stage::kBlock8x);
  const auto out =
      run_block(blocks_16x_.size(), block_8x_, to_tokens(fused.visual), to_tokens(fused.identity), grid_8);
  return {to_map(out.visual, grid_8), to_map(out.identity, grid_8)};
}

std::vector<MemoryFrame> VmosImpl::reference(const Features& features, const IdentityEmbedding& embedding) {
  std::vector<MemoryFrame> memory(num_blocks());
  run_trunk(features, [&](size_t i, PropagationBlock& block, const at::Tensor& visual,
                          const at::Tensor& identity, GridSize grid) {
    const bool is_8x = i == blocks_16x_.size();
    return block->forward_reference(visual, identity, is_8x ? embedding.stride_8 : embedding.stride_16, grid,
                                    memory[i]);
  });
  return memory;
}

VmosImpl::Step VmosImpl::propagate(const Features& features, const std::vector<MemoryFrame>& long_term,
                                   const std::vector<MemoryFrame>& short_term) {
  TORCH_CHECK(long_term.size() == num_blocks() && short_term.size() == num_blocks(),
              "VMOS: expected memory of ", num_blocks(), " blocks, found ", long_term.size(), " and ",
              short_term.size());
  Step step;
  const ScaleFusion::Output at_8x =
      run_trunk(features, [&](size_t i, PropagationBlock& block, const at::Tensor& visual,
                              const at::Tensor& identity, GridSize grid) {
        auto out = block(visual, identity, long_term[i], short_term[i], grid);
        auto& labels = i == blocks_16x_.size() ? step.labels_8x : step.labels_16x;
        if (out.long_labels.defined()) labels.push_back(out.long_labels);
        if (out.short_labels.defined()) labels.push_back(out.short_labels);
        step.states.push_back(out.state);
        return out;
      });
  ScaleFusion::Output at_4x;
  {
    const StageTimer timer(Stage::kFusion);
    at_4x = fusion_4x_->fuse(features.stride_4, at_8x.visual, at_8x.identity, "fuse4");
  }
  const StageTimer timer(Stage::kHead);
  const at::Tensor normed = head_norm_(at::cat({at_4x.visual, at_4x.identity}, 1));
  probe("dec.in_s4_norm", to_tokens(normed));
  step.logits = head_output_(at::relu(head_(normed)));
  probe("dec.logits_unmasked", step.logits);
  return step;
}

std::vector<MemoryFrame> VmosImpl::memorize(const std::vector<BlockState>& states,
                                            const IdentityEmbedding& embedding) {
  TORCH_CHECK(states.size() == num_blocks(), "VMOS: expected states of ", num_blocks(), " blocks, found ",
              states.size());
  std::vector<MemoryFrame> memory;
  for (size_t i = 0; i < blocks_16x_.size(); ++i) {
    memory.push_back(blocks_16x_[i]->memorize(states[i], embedding.stride_16));
  }
  memory.push_back(block_8x_->memorize(states.back(), embedding.stride_8));
  return memory;
}

}  // namespace hqtrack
