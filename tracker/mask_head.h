#pragma once

#include "core/config.h"
#include "core/dense.h"
#include "tracker/layers.h"

namespace hqtrack {

/// Fuses the tokens of a coarser scale into the features of a finer one, the visual and the identity branch
/// with weights of their own: relu(Res(project(features) + up(relu(GN(conv1(tokens)))))) (docs/vmos.md,
/// section 5). Weights: `<scale>_proj`, `<scale>_cons_in[_id]`, `<scale>_cons_out[_id]` beside those of the
/// other scale.
class ScaleFusion {
 public:
  /// Registers its layers with `parent`; scale is "s8" or "s4".
  ScaleFusion(torch::nn::Module& parent, const std::string& scale, int64_t feature_channels,
              int64_t token_channels, int64_t width);

  struct Output {
    at::Tensor visual, identity;  // [B, width, h, w], on the grid of the features
  };
  /// features [B, C, h, w]; visual, identity: maps [B, token_channels, h', w'] of the coarser scale.
  /// `name` labels the probes of the residual pairs.
  Output fuse(const at::Tensor& features, const at::Tensor& visual, const at::Tensor& identity,
              const std::string& name);

 private:
  Conv2d project_{nullptr};
  ConvGn visual_in_{nullptr}, identity_in_{nullptr};
  ResidualPair visual_out_{nullptr}, identity_out_{nullptr};
};

}  // namespace hqtrack
