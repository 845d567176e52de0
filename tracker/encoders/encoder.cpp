#include "tracker/encoders/encoder.h"

#include "core/error.h"
#include "tracker/encoders/efficientnet_encoder.h"
#include "tracker/encoders/internimage.h"

namespace hqtrack {

std::shared_ptr<Encoder> make_encoder(const EncoderConfig& config) {
  if (config.type == "internimage") return std::make_shared<InternImage>(config);
  if (config.type == "efficientnet_lite0") return std::make_shared<EfficientNetEncoder>();
  throw ConfigError("tracker.encoder.type: expected internimage or efficientnet_lite0, found '" +
                    config.type + "'");
}

}  // namespace hqtrack
