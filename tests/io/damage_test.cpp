#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "io/frame_source.h"
#include "tests/io/make_media.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;

struct Reading {
  int64_t num_frames = 0;
  std::string error;  // empty when the video ended well
};

/// Reads until the end or the first error; checks that every frame given is the right one.
Reading read_through(const fs::path& file, bool expect_shades = true) {
  Reading reading;
  try {
    const auto source = open_source(file.string());
    while (const auto frame = source->read()) {
      const int64_t last = frame->image.numel() - 3 * 4;
      const int green = frame->image.const_data_ptr<uint8_t>()[last + 1];
      if (expect_shades) {
        EXPECT_NEAR(green, shade_of(static_cast<int>(reading.num_frames)), 3) << reading.num_frames;
      }
      ++reading.num_frames;
    }
  } catch (const MediaError& error) {
    reading.error = error.what();
  }
  return reading;
}

void expect_one_line_naming(const std::string& message, const fs::path& file) {
  EXPECT_TRUE(message.starts_with(file.string() + ": ")) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

/// Noise, which keeps packets large, so that damage hits pictures; the lower right corner tells the index.
void paint_noise(AVFrame& frame, int index) {
  paint_index(frame, index);
  uint32_t state = 12345 + index;
  for (int y = 0; y < frame.height - 24; ++y) {
    for (int x = 0; x < frame.width; ++x) {
      state = state * 1664525 + 1013904223;
      frame.data[0][y * frame.linesize[0] + x] = static_cast<uint8_t>(60 + (state >> 24) % 120);
    }
  }
}

class DamageTest : public ::testing::Test {
 protected:
  fs::path file(const std::string& name) const { return folder_.path() / name; }
  fs::path made(const std::string& name, bool has_audio = false) {
    MediaOptions options{
        .width = 160, .height = 120, .num_frames = 60, .num_b_frames = 2, .paint = paint_noise};
    if (name.ends_with(".mp4")) options.muxer_options = "movflags=faststart";
    if (name.ends_with(".avi")) options.num_b_frames = 0;
    if (name.ends_with(".webm")) {
      options.codec = "libvpx-vp9";
      options.num_b_frames = 0;
      options.codec_options = "crf=20:deadline=realtime:cpu-used=8";
    }
    if (has_audio) options.audio_codec = name.ends_with(".webm") ? "libopus" : "aac";
    make_media(file(name), options);
    return file(name);
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(DamageTest, WholeFilesPass) {
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.avi", "a.webm", "a.ts"}) {
    const Reading reading = read_through(made(name, /*has_audio=*/true));
    EXPECT_EQ(reading.num_frames, 60) << name;
    EXPECT_EQ(reading.error, "") << name;
  }
}

TEST_F(DamageTest, TruncatedFilesGiveTheFramesBeforeTheCutAndThenAnError) {
  for (const char* name : {"a.mp4", "a.mkv", "a.avi", "a.webm"}) {
    for (const bool has_audio : {false, true}) {
      SCOPED_TRACE(name + std::string(has_audio ? " with sound" : ""));
      const fs::path path = made(name, has_audio);
      truncate_to(path, 0.6);
      const Reading reading = read_through(path);
      EXPECT_GT(reading.num_frames, 25);
      EXPECT_LT(reading.num_frames, 50);
      expect_one_line_naming(reading.error, path);
      EXPECT_NE(
          reading.error.find("damaged or truncated after frame " + std::to_string(reading.num_frames - 1)),
          std::string::npos)
          << reading.error;
    }
  }
}

TEST_F(DamageTest, OverwrittenBytesGiveTheFramesBeforeThemAndThenAnError) {
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.avi", "a.ts"}) {
    SCOPED_TRACE(name);
    const fs::path path = made(name);
    damage_at(path, 0.5, fs::file_size(path) / 20);
    const Reading reading = read_through(path);
    EXPECT_GT(reading.num_frames, 15);
    EXPECT_LT(reading.num_frames, 45);
    expect_one_line_naming(reading.error, path);
    EXPECT_NE(reading.error.find("damaged"), std::string::npos) << reading.error;
  }
}

TEST_F(DamageTest, DamageThatIsMetWhileOpeningIsNoticed) {
  // A wrong length of one block: the blocks behind it, up to the next cluster, are lost without any broken
  // picture.
  const fs::path path = made("a.mkv");
  std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  stream.clear();
  size_t block =
      bytes.find('\xA3', bytes.size() / 5);  // SimpleBlock, a length of four bytes or fewer, track 1
  const auto is_block = [&](size_t at) {
    const int width = std::countl_zero(static_cast<uint8_t>(bytes[at + 1])) + 1;
    return width <= 4 && bytes[at + 1 + width] == '\x81' && bytes[at + 4 + width] == '\0';
  };
  while (block != std::string::npos && !is_block(block)) block = bytes.find('\xA3', block + 1);
  ASSERT_LT(block, bytes.size());
  stream.seekp(static_cast<std::streamoff>(block + 1));
  stream.write("\x10\x7f\xff\xff", 4);
  stream.close();
  const Reading reading = read_through(path);
  EXPECT_GT(reading.num_frames, 5);
  EXPECT_LT(reading.num_frames, 30);
  expect_one_line_naming(reading.error, path);
}

TEST_F(DamageTest, DamagedWebmBlocksAreNoticed) {
  // VP9 decodes any bytes without complaint: only damage that reaches the container's own bytes can be told.
  const fs::path path = made("a.webm");
  damage_at(path, 0.5, fs::file_size(path) * 3 / 10);
  const Reading reading = read_through(path, /*expect_shades=*/false);
  expect_one_line_naming(reading.error, path);
}

TEST_F(DamageTest, Mp4WithoutItsIndexIsRefused) {
  MediaOptions options{.num_frames = 20};
  make_media(file("tail.mp4"), options);
  truncate_to(file("tail.mp4"), 0.6);
  const Reading reading = read_through(file("tail.mp4"));
  EXPECT_EQ(reading.num_frames, 0);
  expect_one_line_naming(reading.error, file("tail.mp4"));
  EXPECT_NE(reading.error.find("moov"), std::string::npos) << reading.error;
}

TEST_F(DamageTest, PartsAreJudgedByTheirOwnFramesOnly) {
  const fs::path path = made("a.mp4");
  damage_at(path, 0.6, fs::file_size(path) / 20);
  const auto source = open_source(path.string(), {.start_us = 0, .duration_us = 400000});
  int64_t count = 0;
  while (source->read()) ++count;
  EXPECT_EQ(count, 10);
}

TEST_F(DamageTest, WhatIsNoVideoIsToldInOneLine) {
  std::ofstream(file("empty.mp4"));
  std::ofstream text(file("text.mp4"));
  for (int i = 0; i < 500; ++i) text << "Lorem ipsum dolor sit amet, " << i << "\n";
  text.close();
  fs::copy_file(file("text.mp4"), file("notes.txt"));
  fs::create_directory(file("folder"));
  const std::pair<const char*, const char*> cases[] = {
      {"missing.mp4", "no such file"},  {"empty.mp4", "empty"},
      {"text.mp4", "cannot be opened"}, {"notes.txt", ""},
      {"folder", "found none"},         {"missing/%05d.png", "cannot be read"}};
  for (const auto& [name, words] : cases) {
    SCOPED_TRACE(name);
    const Reading reading = read_through(file(name));
    EXPECT_EQ(reading.num_frames, 0);
    EXPECT_NE(reading.error, "");
    EXPECT_EQ(reading.error.find('\n'), std::string::npos) << reading.error;
    EXPECT_NE(reading.error.find(words), std::string::npos) << reading.error;
  }
}

TEST_F(DamageTest, SoundAloneIsNoVideo) {
  make_sound(file("sound.wav"));
  const Reading reading = read_through(file("sound.wav"));
  expect_one_line_naming(reading.error, file("sound.wav"));
  EXPECT_NE(reading.error.find("expected a video stream, found audio (pcm_s16le)"), std::string::npos)
      << reading.error;
}

TEST_F(DamageTest, ADecoderThatOnlyComplainsIsBelieved) {
  const fs::path clip = shared_root() / "data" / "clips" / "cup.mp4";
  if (shared_root().empty() || !fs::exists(clip)) GTEST_SKIP() << "no reference clips beside the repository";
  const Reading reading = read_through(clip, /*expect_shades=*/false);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.num_frames, 217);
}

}  // namespace
}  // namespace hqtrack::testing
