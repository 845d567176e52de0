// A project of its own that follows a grey square over a dark picture with the installed library.
#include <ATen/Functions.h>

#include <cstdio>

#include "core/config.h"
#include "pipeline/hqtrack.h"

namespace {

hqtrack::Frame draw_frame(int64_t index) {
  at::Tensor image = at::full({120, 160, 3}, 40, at::kByte);
  const int64_t left = 40 + 2 * index;
  image.slice(0, 30, 80).slice(1, left, left + 50).fill_(200);
  return {.index = index, .pts_us = 40'000 * index, .image = image};
}

}  // namespace

int main() {
  hqtrack::HqTrack tracker(hqtrack::load_config(CONFIG_FILE), "cpu");
  at::Tensor label_mask = at::zeros({120, 160}, at::kByte);
  label_mask.slice(0, 30, 80).slice(1, 40, 90).fill_(7);
  tracker.initialize(draw_frame(0), hqtrack::mask_prompts(label_mask));
  const hqtrack::TrackedFrame result = tracker.track(draw_frame(1));
  for (const hqtrack::TrackedObject& object : result.objects) {
    std::printf("object %d: %s\n", static_cast<int>(object.id), hqtrack::to_string(object.state));
  }
}
