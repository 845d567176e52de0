#include "refiner/encoders/image_encoder.h"

#include "core/error.h"
#include "core/layers.h"
#include "refiner/encoders/efficientnet_image_encoder.h"
#include "refiner/encoders/tiny_vit_encoder.h"
#include "refiner/encoders/vit_encoder.h"

namespace hqtrack {

std::shared_ptr<ImageEncoder> make_image_encoder(const RefinerConfig& config) {
  const std::string& type = config.encoder.type;
  if (type == "vit") return std::make_shared<VitEncoder>(config);
  if (type == "tiny_vit") return std::make_shared<TinyVitEncoder>(config);
  if (type == "efficientnet_lite0") return std::make_shared<EfficientNetImageEncoder>(config);
  throw ConfigError("refiner.encoder.type: expected vit, tiny_vit or efficientnet_lite0, found '" + type +
                    "'");
}

Neck::Neck(torch::nn::Module& encoder, int64_t in_channels, int64_t out_channels)
    : reduce_(register_at(encoder, "neck.0",
                          Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, 1).bias(false)))),
      smooth_(register_at(
          encoder, "neck.2",
          Conv2d(torch::nn::Conv2dOptions(out_channels, out_channels, 3).padding(1).bias(false)))),
      reduce_norm_(register_at(encoder, "neck.1", ChannelNorm(out_channels))),
      smooth_norm_(register_at(encoder, "neck.3", ChannelNorm(out_channels))) {}

at::Tensor Neck::forward(const at::Tensor& map) { return smooth_norm_(smooth_(reduce_norm_(reduce_(map)))); }

}  // namespace hqtrack
