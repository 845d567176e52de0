#include "io/hardware_decoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "io/video_reader.h"
#include "tests/io/make_media.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

bool has_device(VideoHardware hardware) {
  try {
    return !HardwareDecoder(hardware).name().empty();
  } catch (const DeviceError&) {
    return false;
  }
}

std::vector<Frame> read_all(const std::string& file, VideoHardware hardware) {
  SourceConfig config;
  config.hardware = hardware;
  VideoReader reader(file, config);
  std::vector<Frame> frames;
  while (auto frame = reader.read()) frames.push_back(std::move(*frame));
  return frames;
}

/// The same pictures at the same times, but for rounding.
void expect_same_frames(const std::string& file, VideoHardware hardware) {
  const std::vector<Frame> expected = read_all(file, VideoHardware::kNone), found = read_all(file, hardware);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].pts_us, expected[i].pts_us);
    EXPECT_TENSORS_CLOSE(found[i].image.to(at::kFloat), expected[i].image.to(at::kFloat), 0, 3);
  }
}

std::string make_clip(const TemporaryFolder& folder) {
  MediaOptions options;
  options.width = 320;
  options.height = 240;
  options.num_frames = 30;
  const std::string file = folder.path() / "clip.mp4";
  make_media(file, options);
  return file;
}

TEST(HardwareDecoder, TakesWhatThereIs) {
  const TemporaryFolder folder;
  expect_same_frames(make_clip(folder), VideoHardware::kAuto);
}

TEST(HardwareDecoder, ADeviceThatIsNotThereIsAnError) {
  for (const VideoHardware hardware : {VideoHardware::kCuda, VideoHardware::kVaapi}) {
    if (has_device(hardware)) continue;
    EXPECT_THROW(HardwareDecoder{hardware}, DeviceError);
  }
}

TEST(HardwareDecoder, DecodesOnNvdec) {
  if (!has_device(VideoHardware::kCuda)) GTEST_SKIP() << "skipped: no GPU";
  const TemporaryFolder folder;
  expect_same_frames(make_clip(folder), VideoHardware::kCuda);
}

}  // namespace
}  // namespace hqtrack::testing
