#include "io/video_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include <vector>

#include "core/error.h"
#include "tests/io/make_media.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

/// RGB of one pixel.
std::array<int, 3> pixel_at(const at::Tensor& image, int64_t y, int64_t x) {
  const uint8_t* pixel = image.const_data_ptr<uint8_t>() + 3 * (y * image.size(1) + x);
  return {pixel[0], pixel[1], pixel[2]};
}

std::array<int, 3> lower_right(const at::Tensor& image) {
  return pixel_at(image, image.size(0) - 4, image.size(1) - 4);
}

void expect_near(const std::array<int, 3>& actual, const Colour& expected, double tolerance) {
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(actual[c], expected[c], tolerance) << "channel " << c;
}

std::vector<Frame> read_all(FrameSource& source) {
  std::vector<Frame> frames;
  while (auto frame = source.read()) frames.push_back(std::move(*frame));
  return frames;
}

std::vector<int64_t> times_of(const std::vector<Frame>& frames) {
  std::vector<int64_t> times;
  for (const Frame& frame : frames) times.push_back(frame.pts_us);
  return times;
}

/// Every frame of paint_index is there, in display order.
void expect_shades(const std::vector<Frame>& frames, int first_index = 0) {
  for (size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].index, static_cast<int64_t>(i));
    EXPECT_NEAR(lower_right(frames[i].image)[1], shade_of(static_cast<int>(i) + first_index), 3)
        << "frame " << i;
  }
}

class VideoReaderTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }
  std::unique_ptr<FrameSource> made(const std::string& name, const MediaOptions& options,
                                    const SourceConfig& config = {}) {
    make_media(file(name), options);
    return open_source(file(name).string(), config);
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(VideoReaderTest, GivesEveryFrameOfEachContainerInDisplayOrder) {
  for (const char* name : {"a.mp4", "a.mov", "a.mkv", "a.ts", "a.avi", "a.flv"}) {
    SCOPED_TRACE(name);
    const auto source = made(name, {.num_b_frames = std::string(name) == "a.avi" ? 0 : 2});
    const auto frames = read_all(*source);
    ASSERT_EQ(frames.size(), 30u);
    expect_shades(frames);
    for (size_t i = 0; i < frames.size(); ++i)
      EXPECT_NEAR(frames[i].pts_us - frames[0].pts_us, 40000.0 * i, 1000) << i;
  }
}

TEST_F(VideoReaderTest, ReadsVp9InWebm) {
  const auto frames = read_all(*made(
      "a.webm", {.codec = "libvpx-vp9", .num_frames = 12, .codec_options = "crf=10:deadline=realtime"}));
  ASSERT_EQ(frames.size(), 12u);
  expect_shades(frames);
}

TEST_F(VideoReaderTest, TellsWhatIsKnownBeforeFramesAreRead) {
  const auto source =
      made("a.mp4", {.width = 80, .num_frames = 20, .sample_aspect = {4, 3}, .audio_codec = "aac"});
  const VideoInfo& info = source->info();
  EXPECT_EQ(info.codec, "h264");
  EXPECT_EQ(info.pixel_format, "yuv420p");
  EXPECT_EQ(info.width, 80);
  EXPECT_EQ(info.height, 48);
  EXPECT_EQ(info.rate_num, 25 * info.rate_den);
  EXPECT_EQ(info.num_frames, 20);
  EXPECT_EQ(info.duration_us, 800000);
  EXPECT_EQ(info.sample_aspect_num, 4);
  EXPECT_EQ(info.sample_aspect_den, 3);
  EXPECT_TRUE(info.has_audio);
}

TEST_F(VideoReaderTest, KeepsVariableFrameTimes) {
  const std::vector<int64_t> ticks = {0, 3003, 3004, 9000, 90000, 90100, 180001, 270000};
  for (const int num_b_frames : {0, 2}) {
    MediaOptions options{
        .num_frames = 8, .time_base = {1, 90000}, .pts = ticks, .num_b_frames = num_b_frames};
    const auto times = times_of(read_all(*made("vfr.mp4", options)));
    ASSERT_EQ(times.size(), ticks.size());
    for (size_t i = 0; i < ticks.size(); ++i) EXPECT_EQ(times[i], (ticks[i] * 1000000 + 45000) / 90000) << i;
  }
}

TEST_F(VideoReaderTest, KeepsTheDelayOfAVideoThatStartsAfterItsSound) {
  MediaOptions options{.num_frames = 10, .audio_codec = "pcm_s16le"};
  for (int i = 0; i < 10; ++i) options.pts.push_back(i + 5);
  const auto times = times_of(read_all(*made("late.mkv", options)));
  ASSERT_EQ(times.size(), 10u);
  EXPECT_EQ(times.front(), 200000);
  EXPECT_EQ(times.back(), 560000);
}

TEST_F(VideoReaderTest, InventsGrowingTimesWhereTheStreamHasNone) {
  const auto times = times_of(read_all(*made("raw.h264", {.num_b_frames = 2})));
  ASSERT_EQ(times.size(), 30u);
  for (size_t i = 1; i < times.size(); ++i) EXPECT_EQ(times[i] - times[i - 1], 40000) << i;
}

TEST_F(VideoReaderTest, SortsTimesOfAFileThatOnlyHasDecodingTimes) {
  const auto frames = read_all(*made("dts.mp4", {.has_decoding_times_only = true, .num_b_frames = 2}));
  ASSERT_EQ(frames.size(), 30u);
  expect_shades(frames);
  for (size_t i = 0; i < frames.size(); ++i)
    EXPECT_EQ(frames[i].pts_us, 40000 * static_cast<int64_t>(i)) << i;
}

TEST_F(VideoReaderTest, RespectsColourMatrixAndRange) {
  const std::array<int, 3> samples = {120, 100, 170};
  for (const AVColorSpace matrix : {AVCOL_SPC_BT709, AVCOL_SPC_SMPTE170M, AVCOL_SPC_BT2020_NCL}) {
    for (const AVColorRange range : {AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG}) {
      const auto source = made(
          "c.mp4",
          {.num_frames = 2, .colour_matrix = matrix, .colour_range = range, .paint = paint_samples(samples)});
      SCOPED_TRACE("matrix " + std::to_string(matrix) + ", range " + std::to_string(range));
      expect_near(lower_right(source->read()->image), rgb_of(samples, matrix, range == AVCOL_RANGE_JPEG), 2);
    }
  }
}

TEST_F(VideoReaderTest, GuessesTheMatrixFromTheSizeAsPlayersDo) {
  const std::array<int, 3> samples = {120, 100, 170};
  for (const auto& [height, matrix] :
       {std::pair{576, AVCOL_SPC_SMPTE170M}, std::pair{720, AVCOL_SPC_BT709}}) {
    const auto source = made("g.mp4", {.height = height, .num_frames = 1, .paint = paint_samples(samples)});
    SCOPED_TRACE(height);
    expect_near(lower_right(source->read()->image), rgb_of(samples, matrix, false), 2);
  }
}

TEST_F(VideoReaderTest, ReadsTenAndTwelveBits) {
  const std::array<int, 3> ten = {480, 400, 680};
  const auto h264 = made("ten.mp4", {.pixel_format = AV_PIX_FMT_YUV420P10,
                                     .num_frames = 2,
                                     .colour_matrix = AVCOL_SPC_BT709,
                                     .paint = paint_samples(ten)});
  EXPECT_EQ(h264->info().pixel_format, "yuv420p10le");
  expect_near(lower_right(h264->read()->image), rgb_of(ten, AVCOL_SPC_BT709, false, 10), 2);
  const std::array<int, 3> twelve = {1920, 1600, 2720};
  const auto ffv1 = made("twelve.mkv", {.codec = "ffv1",
                                        .pixel_format = AV_PIX_FMT_YUV444P12,
                                        .num_frames = 2,
                                        .colour_matrix = AVCOL_SPC_BT709,
                                        .codec_options = "",
                                        .paint = paint_samples(twelve)});
  expect_near(lower_right(ffv1->read()->image), rgb_of(twelve, AVCOL_SPC_BT709, false, 12), 2);
}

TEST_F(VideoReaderTest, ShowsTransparencyOnBlack) {
  const std::array<int, 3> samples = {120, 100, 170};
  const auto source = made("alpha.mkv", {.codec = "ffv1",
                                         .pixel_format = AV_PIX_FMT_YUVA420P,
                                         .num_frames = 2,
                                         .codec_options = "",
                                         .paint = paint_samples(samples)});
  EXPECT_EQ(source->info().pixel_format, "yuva420p");
  Colour expected = rgb_of(samples, AVCOL_SPC_SMPTE170M, false);
  for (double& channel : expected) channel /= 3;  // alpha is 85 of 255
  expect_near(lower_right(source->read()->image), expected, 2);
}

TEST_F(VideoReaderTest, FindsTheAlphaOfWebM) {
  if (!avcodec_find_encoder_by_name("libvpx-vp9") || !avcodec_find_decoder_by_name("libvpx-vp9"))
    GTEST_SKIP() << "skipped: this FFmpeg has no libvpx";
  const auto source = made("alpha.webm", {.codec = "libvpx-vp9",
                                          .pixel_format = AV_PIX_FMT_YUVA420P,
                                          .num_frames = 2,
                                          .codec_options = "crf=4:cpu-used=8",
                                          .paint = paint_samples({120, 100, 170})});
  Colour expected = rgb_of({120, 100, 170}, AVCOL_SPC_SMPTE170M, false);
  for (double& channel : expected) channel /= 3;
  expect_near(lower_right(source->read()->image), expected, 4);
}

TEST_F(VideoReaderTest, ReadsGrey) {
  const auto source = made("grey.mkv", {.codec = "ffv1",
                                        .pixel_format = AV_PIX_FMT_GRAY8,
                                        .num_frames = 2,
                                        .codec_options = "",
                                        .paint = paint_samples({77, 0, 0})});
  expect_near(lower_right(source->read()->image), {77, 77, 77}, 0);
}

TEST_F(VideoReaderTest, ReadsOddSizes) {
  const auto source =
      made("odd.mkv", {.codec = "ffv1", .width = 61, .height = 43, .num_frames = 2, .codec_options = ""});
  const auto frame = source->read();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->image.size(0), 43);
  EXPECT_EQ(frame->image.size(1), 61);
  EXPECT_NEAR(pixel_at(frame->image, 42, 60)[0], shade_of(0), 2);
}

/// Luma 60 everywhere but in the upper left quarter.
void paint_corner(AVFrame& frame, int index) {
  paint_samples({60, 128, 128})(frame, index);
  for (int y = 0; y < frame.height / 2; ++y)
    std::memset(frame.data[0] + y * frame.linesize[0], 200, frame.width / 2);
}

TEST_F(VideoReaderTest, AppliesRotationAndFlips) {
  constexpr int32_t k1 = 1 << 16, kEnd = 1 << 30;
  struct Case {
    std::array<int32_t, 9> matrix;
    int degrees;
    bool is_right, is_low;  // where the marked corner must be
  };
  // As cameras write them: a point (x, y) goes to (m0 x + m3 y, m1 x + m4 y), y downwards.
  const Case cases[] = {{{k1, 0, 0, 0, k1, 0, 0, 0, kEnd}, 0, false, false},
                        {{0, k1, 0, -k1, 0, 0, 0, 0, kEnd}, 90, true, false},
                        {{-k1, 0, 0, 0, -k1, 0, 0, 0, kEnd}, 180, true, true},
                        {{0, -k1, 0, k1, 0, 0, 0, 0, kEnd}, 270, false, true},
                        {{-k1, 0, 0, 0, k1, 0, 0, 0, kEnd}, 0, true, false},
                        {{k1, 0, 0, 0, -k1, 0, 0, 0, kEnd}, 180, false, true}};
  for (const Case& each : cases) {
    SCOPED_TRACE(std::to_string(each.degrees) + (each.is_right ? " right" : "") +
                 (each.is_low ? " low" : ""));
    const auto source = made(
        "turned.mp4",
        {.num_frames = 2, .sample_aspect = {2, 1}, .display_matrix = each.matrix, .paint = paint_corner});
    const bool is_turned = each.degrees % 180 != 0;
    EXPECT_EQ(source->info().rotation_degrees, each.degrees);
    EXPECT_EQ(source->info().height, is_turned ? 64 : 48);
    EXPECT_EQ(source->info().width, is_turned ? 48 : 64);
    EXPECT_EQ(source->info().sample_aspect_num, is_turned ? 1 : 2);
    const at::Tensor image = source->read()->image;
    const int64_t low = image.size(0) - 5, right = image.size(1) - 5;
    for (const bool is_low : {false, true}) {
      for (const bool is_right : {false, true}) {
        const bool is_marked = is_low == each.is_low && is_right == each.is_right;
        EXPECT_EQ(pixel_at(image, is_low ? low : 5, is_right ? right : 5)[0] > 128, is_marked)
            << is_low << is_right;
      }
    }
  }
}

/// A bar that moves between the two fields of a frame: its edge is a comb until it is deinterlaced.
void paint_comb(AVFrame& frame, int index) {
  paint_samples({40, 128, 128})(frame, index);
  for (int y = 0; y < frame.height; ++y) {
    const int x = 8 + 4 * index + (y % 2 ? 12 : 0);
    std::memset(frame.data[0] + y * frame.linesize[0] + x, 210, 12);
  }
}

/// Mean difference between neighbouring rows of the middle of the picture.
double comb_of(const at::Tensor& image) {
  double sum = 0;
  for (int64_t y = 10; y < image.size(0) - 10; ++y) {
    for (int64_t x = 0; x < image.size(1); ++x)
      sum += std::abs(pixel_at(image, y, x)[1] - pixel_at(image, y + 1, x)[1]);
  }
  return sum / static_cast<double>((image.size(0) - 20) * image.size(1));
}

TEST_F(VideoReaderTest, DeinterlacesOnlyFramesThatSayTheyAreInterlaced) {
  MediaOptions options{.height = 64, .num_frames = 8, .is_interlaced = true, .paint = paint_comb};
  const auto interlaced = read_all(*made("i.mp4", options));
  options.is_interlaced = false;
  const auto progressive = read_all(*made("p.mp4", options));
  ASSERT_EQ(interlaced.size(), 8u);
  EXPECT_EQ(times_of(interlaced), times_of(progressive));
  for (size_t i = 2; i < 6; ++i)
    EXPECT_LT(comb_of(interlaced[i].image), 0.5 * comb_of(progressive[i].image)) << i;
}

TEST_F(VideoReaderTest, ReadsOnlyThePartThatIsAskedFor) {
  for (const char* name : {"part.mp4", "part.mkv", "part.ts"}) {
    SCOPED_TRACE(name);
    const auto source = made(name, {.num_b_frames = 2}, {.start_us = 500000, .duration_us = 320000});
    const auto frames = read_all(*source);
    ASSERT_EQ(frames.size(), 8u);
    expect_shades(frames, 13);
    EXPECT_EQ(frames.front().pts_us, 520000);
    EXPECT_EQ(source->info().start_us, 500000);
    const int64_t estimate = source->info().num_frames.value_or(0);
    EXPECT_NEAR(static_cast<double>(estimate), 8, std::string(name) == "part.mp4" ? 0 : 1);
  }
}

TEST_F(VideoReaderTest, SaysWhenThePartBeginsAfterTheEnd) {
  make_media(file("a.mp4"), {});
  try {
    open_source(file("a.mp4").string(), {.start_us = 9000000, .duration_us = {}});
    FAIL() << "no error";
  } catch (const MediaError& error) {
    EXPECT_NE(std::string(error.what())
                  .find("a.mp4: expected a frame at or after 9.000 s, found an end at 1.200 s"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(VideoReaderTest, ReadsAPipe) {
  make_media(file("a.mkv"), {});
  const int saved = dup(STDIN_FILENO), opened = open(file("a.mkv").c_str(), O_RDONLY);
  dup2(opened, STDIN_FILENO);
  const auto source = open_source("-");
  const auto frames = read_all(*source);
  dup2(saved, STDIN_FILENO);
  close(saved);
  close(opened);
  ASSERT_EQ(frames.size(), 30u);
  expect_shades(frames);
}

TEST_F(VideoReaderTest, GivesTheSameBytesEachTime) {
  make_media(file("a.mp4"), {.width = 160, .height = 120, .num_b_frames = 3});
  const auto a = read_all(*open_source(file("a.mp4").string())),
             b = read_all(*open_source(file("a.mp4").string()));
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].image.equal(b[i].image)) << i;
}

}  // namespace
}  // namespace hqtrack::testing
