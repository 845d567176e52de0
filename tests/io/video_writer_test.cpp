#include "io/video_writer.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/io/make_media.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;

/// Draws nothing into a whole video. Returns the times of its frames.
std::vector<int64_t> copy_video(const fs::path& from, const fs::path& to, const EncodeConfig& encode = {}) {
  const auto source = open_source(from.string());
  const auto sink = open_video_sink(to, source->info(), OverlayConfig{}, encode);
  std::vector<int64_t> times;
  while (auto frame = source->read()) {
    times.push_back(frame->pts_us);
    const at::Tensor mask = at::zeros({source->info().height, source->info().width}, at::kByte);
    sink->write({.frame = std::move(*frame), .label_mask = mask, .objects = {}});
  }
  sink->finish();
  return times;
}

std::vector<int64_t> frame_times(const fs::path& file) {
  const auto source = open_source(file.string());
  std::vector<int64_t> times;
  while (const auto frame = source->read()) times.push_back(frame->pts_us);
  return times;
}

struct Sound {
  std::string codec;
  double seconds = 0;  // to the end of its last packet
};

Sound sound_of(const fs::path& file) {
  const AvInputPtr format = open_input(file.string());
  const int index = av_find_best_stream(format.get(), AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0);
  if (index < 0) return {};
  const AVStream& stream = *format->streams[index];
  Sound sound{.codec = avcodec_get_name(stream.codecpar->codec_id)};
  const AvPacketPtr packet = make_packet();
  while (av_read_frame(format.get(), packet.get()) >= 0) {
    if (packet->stream_index == index) {
      sound.seconds = std::max(
          sound.seconds, static_cast<double>(packet->pts + packet->duration) * av_q2d(stream.time_base));
    }
    av_packet_unref(packet.get());
  }
  return sound;
}

struct SoundCase {
  const char *source, *codec, *target, *expected;
};

class VideoWriterSound : public ::testing::TestWithParam<SoundCase> {};

TEST_P(VideoWriterSound, IsCopiedOrReEncodedForTheContainer) {
  const SoundCase& sound = GetParam();
  if (!avcodec_find_encoder_by_name(sound.codec))
    GTEST_SKIP() << "skipped: this FFmpeg has no " << sound.codec;
  const TemporaryFolder folder;
  const fs::path source = folder.path() / sound.source, target = folder.path() / sound.target;
  make_media(source, {.num_frames = 50, .audio_codec = sound.codec});
  const std::vector<int64_t> times = copy_video(source, target);
  const std::vector<int64_t> written = frame_times(target);
  ASSERT_EQ(written.size(), times.size());
  for (size_t i = 0; i < times.size(); ++i)
    EXPECT_NEAR(written[i] - written[0], times[i] - times[0], 1000) << i;
  const Sound found = sound_of(target);
  EXPECT_EQ(found.codec, sound.expected);
  EXPECT_NEAR(found.seconds, 2.0, 0.15);
}

INSTANTIATE_TEST_SUITE_P(
    Containers, VideoWriterSound,
    ::testing::Values(
        SoundCase{"in.mp4", "aac", "out.mp4", "aac"}, SoundCase{"in.mp4", "aac", "out.mkv", "aac"},
        SoundCase{"in.ts", "aac", "out.mp4", "aac"}, SoundCase{"in.ts", "aac", "out.mov", "aac"},
        SoundCase{"in.mkv", "flac", "out.mp4", "aac"}, SoundCase{"in.mkv", "flac", "out.mov", "aac"},
        SoundCase{"in.mkv", "flac", "out.mkv", "flac"}, SoundCase{"in.mkv", "libopus", "out.mov", "aac"},
        SoundCase{"in.mkv", "libopus", "out.webm", "opus"}, SoundCase{"in.mp4", "aac", "out.webm", "opus"},
        SoundCase{"in.mkv", "pcm_s16le", "out.mp4", "aac"}),
    [](const auto& info) {
      std::string name = std::string(info.param.source) + "_" + info.param.codec + "_" + info.param.target;
      std::ranges::replace(name, '.', '_');
      return name;
    });

TEST(VideoWriter, DoesWithoutAnEncoderOfAGraphicsCard) {
  const TemporaryFolder folder;
  make_media(folder.path() / "in.mp4", {.num_frames = 10});
  for (const char* name : {"h264_nvenc", "h264_vaapi"}) {
    if (!avcodec_find_encoder_by_name(name)) continue;
    const fs::path out = folder.path() / (std::string(name) + ".mp4");
    copy_video(folder.path() / "in.mp4", out, {.codec = name});
    EXPECT_EQ(frame_times(out).size(), 10U) << name;
    EXPECT_EQ(open_source(out)->info().codec, "h264") << name;
  }
}

TEST(VideoWriter, LeavesNothingWithoutAFrame) {
  const TemporaryFolder folder;
  VideoInfo source;
  source.height = 48;
  source.width = 64;
  for (const char* name : {"out.mkv", "out.mp4"}) {
    open_video_sink(folder.path() / name, source, OverlayConfig{}, EncodeConfig{}).reset();
    EXPECT_TRUE(fs::is_empty(folder.path())) << name;
  }
}

TEST(VideoWriter, MarksHevcForPlayersThatAskForIt) {
  if (!avcodec_find_encoder_by_name("libx265")) GTEST_SKIP() << "skipped: this FFmpeg has no libx265";
  const TemporaryFolder folder;
  make_media(folder.path() / "in.mp4", {.num_frames = 4});
  copy_video(folder.path() / "in.mp4", folder.path() / "out.mp4",
             {.codec = "libx265", .preset = "ultrafast"});
  const AvInputPtr format = open_input((folder.path() / "out.mp4").string());
  EXPECT_EQ(format->streams[0]->codecpar->codec_tag, static_cast<uint32_t>(MKTAG('h', 'v', 'c', '1')));
  EXPECT_EQ(frame_times(folder.path() / "out.mp4").size(), 4U);
}

}  // namespace
}  // namespace hqtrack::testing
