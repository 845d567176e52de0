#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/dense.h"
#include "core/recording.h"
#include "tracker/encoders/encoder.h"
#include "tracker/identity_bank.h"
#include "tracker/mask_head.h"
#include "tracker/propagation_block.h"

namespace hqtrack {

/// Video multi-object segmenter: encoder, identity banks, gated propagation at 16x and 8x, fusion and head
/// (HQTrack, section "VMOS"; docs/vmos.md, sections 2 to 5). Stateless: memory comes in as arguments. A list
/// of memory frames or states has one entry a block: those at 16x in order, then the one at 8x.
///
/// The order of calls for a video:
///   memory = reference(encode(frame 0), embed_identity(one-hot of the given labels));
///   step = propagate(encode(frame t), long_term, short_term); labels = argmax of step.logits resized to the
///   frame; memory = memorize(step.states, embed_identity(one-hot of labels)).
class VmosImpl : public torch::nn::Module {
 public:
  /// Builds the network with random weights. Throws ConfigError for sizes that do not fit together.
  explicit VmosImpl(const TrackerConfig& config);

  /// image [B, 3, H, W], normalised, edges of the form 16 k + 1. stride_16 is already projected to width 16x.
  Features encode(const at::Tensor& image);
  /// Backbone and projection apart, for training with a frozen backbone.
  Features encode_backbone(const at::Tensor& image);
  Features project(const Features& backbone);

  IdentityEmbedding embed_identity(const at::Tensor& one_hot);
  IdentityEmbedding embed_identity_labels(const at::Tensor& slots);

  /// Memory of a reference frame, whose labels are given.
  std::vector<MemoryFrame> reference(const Features& features, const IdentityEmbedding& embedding);

  struct Step {
    at::Tensor logits;  // [B, 1 + objects_per_engine, h4, w4]; channels of unused slots are meaningless
    std::vector<BlockState> states;
    std::vector<at::Tensor> labels_16x,
        labels_8x;  // training: labels carried by each attention map, [B, N, L]
  };
  /// long_term and short_term: one MemoryFrame a block; several long-term frames lie side by side in one.
  Step propagate(const Features& features, const std::vector<MemoryFrame>& long_term,
                 const std::vector<MemoryFrame>& short_term);

  std::vector<MemoryFrame> memorize(const std::vector<BlockState>& states,
                                    const IdentityEmbedding& embedding);

  size_t num_blocks() const { return blocks_16x_.size() + 1; }
  int64_t objects_per_engine() const { return objects_per_engine_; }
  at::Device device() const { return head_output_->weight.device(); }

 private:
  template <class RunBlock>
  ScaleFusion::Output run_trunk(const Features& features, RunBlock run_block);

  Recording encoding_;
  int64_t objects_per_engine_;
  std::shared_ptr<Encoder> encoder_;
  Conv2d encoder_projector_{nullptr};
  std::vector<PropagationBlock> blocks_16x_;
  PropagationBlock block_8x_{nullptr};
  std::unique_ptr<ScaleFusion> fusion_8x_, fusion_4x_;
  std::unique_ptr<IdentityBank> identity_bank_;
  torch::nn::GroupNorm head_norm_{nullptr};
  ConvGn head_{nullptr};
  Conv2d head_output_{nullptr};
};
TORCH_MODULE(Vmos);

/// Beginnings of the names of tensors that published checkpoints hold and the network never uses
/// (docs/vmos.md, section 8).
extern const std::vector<std::string> kUnusedVmosWeights;

}  // namespace hqtrack
