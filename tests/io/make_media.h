#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/ffmpeg.h"

namespace hqtrack::testing {

/// Three values: of luma and chroma, or of red, green and blue.
using Colour = std::array<double, 3>;

/// A small video to be made; the container follows from the file name.
struct MediaOptions {
  std::string codec = "libx264";
  AVPixelFormat pixel_format = AV_PIX_FMT_YUV420P;
  int width = 64, height = 48;
  int num_frames = 30;
  AVRational time_base = {1, 25};
  std::vector<int64_t> pts = {};  // in time_base, one a frame; empty: 0, 1, 2 ...
  AVColorSpace colour_matrix = AVCOL_SPC_UNSPECIFIED;
  AVColorRange colour_range = AVCOL_RANGE_UNSPECIFIED;
  AVRational sample_aspect = {1, 1};
  std::optional<std::array<int32_t, 9>> display_matrix = {};
  bool is_interlaced = false;
  bool has_decoding_times_only = false;  // packets carry their decoding time as presentation time too
  int num_b_frames = 0;
  int gop_size = 12;
  std::string codec_options = "preset=veryfast:crf=12";
  std::string muxer_options = {};  // "key=value:key=value"

  std::string audio_codec = {};  // empty: no sound
  double audio_seconds = 0;      // 0: as long as the video
  double audio_start = 0;        // time of its first sample
  double tone_at = -1;           // a tone of a tenth of a second starts then; silence else

  /// Paints frame `index`; planes hold what av_frame_get_buffer gives. Default: paint_index.
  std::function<void(AVFrame&, int)> paint = {};
};

/// Writes the video. Fails the running test, and throws, when FFmpeg refuses.
void make_media(const std::filesystem::path& file, const MediaOptions& options);

/// Half a second of 16-bit silence as a WAV file.
void make_sound(const std::filesystem::path& file);

/// Grey picture whose brightness tells the index, with a chequered block that keeps encoders busy.
void paint_index(AVFrame& frame, int index);
/// Grey value that paint_index gives as RGB.
int shade_of(int index);

/// The same three sample values in every pixel; 8 to 16 bits, planar, with or without chroma.
std::function<void(AVFrame&, int)> paint_samples(std::array<int, 3> samples);

/// RGB of Y, Cb, Cr samples after ITU-R BT.601, 709 and 2020, in double precision. bits: 8, 10, 12.
Colour rgb_of(std::array<int, 3> samples, AVColorSpace matrix, bool is_full_range, int bits = 8);

/// Writes a picture of the kind the extension names (png bmp tif jpg). Fills every byte of the planes from
/// `pixels`.
void make_picture(const std::filesystem::path& file, AVPixelFormat format, int width, int height,
                  const std::function<void(AVFrame&)>& paint);

/// Keeps the first part of a file.
void truncate_to(const std::filesystem::path& file, double share);
/// Writes noise over `length` bytes at `share` of the file.
void damage_at(const std::filesystem::path& file, double share, size_t length);

}  // namespace hqtrack::testing
