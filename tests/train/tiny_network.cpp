#include "tests/train/tiny_network.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "train/random.h"

namespace hqtrack::testing {

Config tiny_config() {
  Config config;
  config.tracker.encoder.type = "efficientnet_lite0";
  config.tracker.propagation_16x = {2, 16, 8};
  config.tracker.propagation_8x = {1, 8, 8};
  config.tracker.width_4x = 8;
  config.tracker.local_radius = 2;
  config.tracker.objects_per_engine = 3;
  config.train.crop_height_px = config.train.crop_width_px = 33;
  config.train.clip_frames = 3;
  config.train.batch_size = 2;
  config.train.num_steps = 4;
  config.train.warmup_steps = 2;
  config.train.hard_pixel_steps = 2;
  config.train.max_objects = 2;
  return config;
}

Clip TinyClips::example(int64_t number) const {
  Random random(4, static_cast<uint64_t>(number));
  Clip clip{at::empty({num_frames_, 33, 33, 3}, at::kByte), at::zeros({num_frames_, 33, 33}, at::kByte),
            1 + random.index(2)};
  uint8_t* pixels = clip.images.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < clip.images.numel(); ++i) pixels[i] = static_cast<uint8_t>(random.index(80));
  for (int64_t object = 1; object <= clip.num_objects; ++object) {
    const int64_t x = random.integer(0, 8), y = object == 1 ? 2 : 20;
    for (int64_t t = 0; t < num_frames_; ++t) {
      clip.labels[t].slice(0, y, y + 10).slice(1, x + 3 * t, x + 3 * t + 12).fill_(object);
      clip.images[t].slice(0, y, y + 10).slice(1, x + 3 * t, x + 3 * t + 12).fill_(100 + 70 * object);
    }
  }
  return clip;
}

}  // namespace hqtrack::testing
