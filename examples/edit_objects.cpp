// Adds, corrects and removes objects while tracking, and goes on from a saved state. It draws its own frames:
// a light and a dark square over grey.
//   edit_objects [STATE_FILE]
#include <ATen/Functions.h>

#include <cstdio>
#include <exception>

#include "core/config.h"
#include "pipeline/hqtrack.h"

namespace {

hqtrack::Frame draw_frame(int64_t index) {
  at::Tensor image = at::full({120, 160, 3}, 110, at::kByte);
  image.slice(0, 20, 60).slice(1, 20 + 2 * index, 60 + 2 * index).fill_(220);
  image.slice(0, 70, 110).slice(1, 100 - 2 * index, 140 - 2 * index).fill_(20);
  return {.index = index, .pts_us = 40'000 * index, .image = image};
}

void show(const hqtrack::TrackedFrame& tracked) {
  std::printf("frame %d:", static_cast<int>(tracked.frame.index));
  for (const hqtrack::TrackedObject& object : tracked.objects) {
    std::printf("  %s %s %d px", object.name.c_str(), hqtrack::to_string(object.state),
                static_cast<int>(object.area_px));
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) try {
  const char* state_file = argc > 1 ? argv[1] : "state.safetensors";
  const hqtrack::Config config = hqtrack::load_config(CONFIG_FILE);
  hqtrack::HqTrack tracker(config, "cpu");
  hqtrack::ObjectPrompt light{.id = 1, .name = "light", .box = hqtrack::PromptBox{20, 20, 60, 60}};
  hqtrack::ObjectPrompt dark{.id = 2, .name = "dark", .box = hqtrack::PromptBox{98, 70, 138, 110}};
  show(tracker.initialize(draw_frame(0), std::span(&light, 1)));
  tracker.track(draw_frame(1));
  show(tracker.add_object(dark));  // in the frame given last
  tracker.track(draw_frame(2));
  dark.box = hqtrack::PromptBox{96, 70, 136, 110};
  show(tracker.correct_object(dark));
  tracker.save_state(state_file);

  hqtrack::HqTrack later(config, "cpu");  // perhaps in another program
  later.restore_state(state_file);
  show(later.track(draw_frame(3)));
  show(later.remove_object(1));
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
