#include "tests/train/tiny_refiner.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "train/random.h"

namespace hqtrack::testing {

Config tiny_refiner_config() {
  Config config;
  config.refiner.encoder.type = "efficientnet_lite0";
  config.refiner.decoder = {.width = 32, .heads = 2, .mlp_width = 32, .hq_branch = true};
  config.refiner.image_size = 64;
  config.refiner.mode = "crop";
  config.refiner.multimask = false;
  config.train.batch_size = 2;
  config.train.num_steps = 4;
  config.train.warmup_steps = 2;
  config.train.refiner.prompts_per_picture = 3;
  config.train.refiner.validation_pictures = 2;
  return config;
}

Still TinyStills::example(int64_t number) const {
  Random random(4, static_cast<uint64_t>(number));
  Still still{at::empty({48, 64, 3}, at::kByte), at::zeros({48, 64}, at::kByte), 2};
  uint8_t* const pixels = still.image.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < still.image.numel(); ++i) pixels[i] = static_cast<uint8_t>(80 + random.index(80));
  for (int64_t object = 1; object <= 2; ++object) {
    const int64_t x = 4 + 30 * (object - 1) + random.index(8), y = 4 + random.index(20);
    still.labels.slice(0, y, y + 18).slice(1, x, x + 20).fill_(object);
    still.image.slice(0, y, y + 18).slice(1, x, x + 20).fill_(object == 1 ? 250 : 5);
  }
  return still;
}

}  // namespace hqtrack::testing
