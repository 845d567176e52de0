#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/baseline/operators.h"
#include "bench/baseline/parameters.h"
#include "core/config.h"
#include "tracker/vmos.h"

namespace hqtrack::baseline {

/// VMOS as published, in LibTorch's operators alone: what a program in PyTorch computes. Takes and returns
/// what VmosImpl does, of one picture, with the parameters of one. docs/vmos.md has the formulas.
class PlainVmos {
 public:
  PlainVmos(const VmosImpl& network, const TrackerConfig& config);

  Features encode(const at::Tensor& image) const;
  /// slots: uint8 [H, W].
  IdentityEmbedding embed_identity_labels(const at::Tensor& slots) const;
  std::vector<MemoryFrame> reference(const Features& features, const IdentityEmbedding& embedding) const;
  VmosImpl::Step propagate(const Features& features, const std::vector<MemoryFrame>& long_term,
                           const std::vector<MemoryFrame>& short_term) const;
  std::vector<MemoryFrame> memorize(const std::vector<BlockState>& states,
                                    const IdentityEmbedding& embedding) const;

 private:
  struct Branches {
    at::Tensor visual, identity;  // tokens, or maps
  };

  Features encode_internimage(const at::Tensor& image) const;
  Features encode_efficientnet(const at::Tensor& image) const;
  at::Tensor internimage_block(const std::string& name, at::Tensor x, int64_t groups) const;

  std::string block_name(size_t i) const;
  const PropagationConfig& sizes_of(size_t i) const;
  BlockState state_of(size_t i, const Branches& in) const;
  MemoryFrame memorize(size_t i, const BlockState& state, const at::Tensor& embedding) const;
  Branches run_block(size_t i, const Branches& in, const BlockState& state, const MemoryFrame& long_term,
                     const MemoryFrame& short_term, GridSize grid) const;
  at::Tensor project(const std::string& attention, const at::Tensor& values, const at::Tensor& gate,
                     GridSize grid) const;
  at::Tensor attend_to_itself(const std::string& name, const Branches& in, GridSize grid, int64_t pool) const;
  const LocalAttention& local_attention(GridSize grid, at::Device device) const;

  Branches fuse(const std::string& scale, const at::Tensor& features, const Branches& coarser) const;
  at::Tensor residual(const std::string& layer, at::Tensor x) const;

  /// Runs all blocks; memory(i, state) gives the long-term and the short-term memory of a block. Returns the
  /// maps at stride 8.
  template <class Memory>
  Branches run_trunk(const Features& features, std::vector<BlockState>& states, Memory memory) const;

  Parameters weights_;
  TrackerConfig config_;
  size_t num_blocks_16x_;
  mutable std::map<std::pair<int64_t, int64_t>, LocalAttention> local_attentions_;  // by grid
};

}  // namespace hqtrack::baseline
