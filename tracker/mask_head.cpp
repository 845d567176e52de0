#include "tracker/mask_head.h"

#include <ATen/ops/relu.h>

#include "core/threads.h"

namespace hqtrack {

ScaleFusion::ScaleFusion(torch::nn::Module& parent, const std::string& scale, int64_t feature_channels,
                         int64_t token_channels, int64_t width)
    : project_(parent.register_module(scale + "_proj",
                                      Conv2d(torch::nn::Conv2dOptions(feature_channels, width, 1)))),
      visual_in_(parent.register_module(scale + "_cons_in", ConvGn(token_channels, width, 1))),
      identity_in_(parent.register_module(scale + "_cons_in_id", ConvGn(token_channels, width, 1))),
      visual_out_(parent.register_module(scale + "_cons_out", ResidualPair(width))),
      identity_out_(parent.register_module(scale + "_cons_out_id", ResidualPair(width))) {}

ScaleFusion::Output ScaleFusion::fuse(const at::Tensor& features, const at::Tensor& visual,
                                      const at::Tensor& identity, const std::string& name) {
  const at::Tensor projected = project_(features);
  const GridSize grid = grid_of(features);
  at::Tensor fused_visual, fused_identity;
  run_both(
      [&] { fused_visual = visual_out_(projected + resize_bilinear(at::relu(visual_in_(visual)), grid)); },
      [&] {
        fused_identity = identity_out_(projected + resize_bilinear(at::relu(identity_in_(identity)), grid));
      });
  probe(name + ".res_vis", fused_visual);
  probe(name + ".res_id", fused_identity);
  return {at::relu(fused_visual), at::relu(fused_identity)};
}

}  // namespace hqtrack
