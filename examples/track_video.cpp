// Follows the object in a box through a video and writes the video with its mask drawn in:
//   track_video in.mp4 x0 y0 x1 y1 out.mp4
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <span>

#include "core/config.h"
#include "io/frame_source.h"
#include "io/outputs.h"
#include "pipeline/hqtrack.h"

int main(int argc, char** argv) try {
  if (argc != 7) {
    std::fprintf(stderr, "usage: track_video INPUT X0 Y0 X1 Y1 OUTPUT\n");
    return 2;
  }
  const auto source = hqtrack::open_source(argv[1]);
  const hqtrack::Config config = hqtrack::load_config(CONFIG_FILE);
  hqtrack::HqTrack tracker(config, "auto");
  const auto video = hqtrack::open_video_sink(argv[6], source->info(), config.overlay, config.encode);

  hqtrack::ObjectPrompt prompt;
  prompt.id = 1;
  prompt.name = "object";
  prompt.box = {std::atof(argv[2]), std::atof(argv[3]), std::atof(argv[4]), std::atof(argv[5])};

  std::optional<hqtrack::Frame> frame = source->read();
  hqtrack::TrackedFrame tracked = tracker.initialize(std::move(*frame), std::span(&prompt, 1));
  while (true) {
    const hqtrack::TrackedObject& object = tracked.objects.front();
    std::printf("frame %d: %s, %d pixels\n", static_cast<int>(tracked.frame.index),
                hqtrack::to_string(object.state), static_cast<int>(object.area_px));
    video->write(tracked);
    frame = source->read();
    if (!frame) break;
    tracked = tracker.track(std::move(*frame));
  }
  video->finish();
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
