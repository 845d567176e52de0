#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>

#include "io/ffmpeg.h"

namespace hqtrack {

/// How a decoded picture has to be turned to be seen upright: transposed first, then flipped.
struct Orientation {
  bool is_transposed = false;  // rows become columns
  bool is_flipped_x = false;   // left and right change places
  bool is_flipped_y = false;   // top and bottom change places

  bool is_identity() const { return !is_transposed && !is_flipped_x && !is_flipped_y; }
  /// Clockwise turn in degrees, 0, 90, 180 or 270; the nearest description when there is a mirror image too.
  int rotation_degrees() const;
};

/// From FFmpeg's display matrix (9 numbers); angles between quarter turns become the nearest quarter turn.
Orientation orientation_of(const int32_t* display_matrix);

/// The display matrix of a stream or of a decoded picture (Exif of a JPEG); null when there is none.
const int32_t* find_display_matrix(const AVStream& stream);
const int32_t* find_display_matrix(const AVFrame& frame);

/// What the numbers of a decoded picture mean: as it says itself, or as players guess where it does not.
struct Colours {
  const int* matrix = nullptr;  // of sws_getCoefficients
  bool is_full_range = false;
  int chroma_x = 0, chroma_y = 128;  // where the first chroma sample lies, in 1/256 of a luma sample
};
/// format: the frame's own, or the one it has on its device. is_picture: still, not of a video.
Colours colours_of(const AVFrame& frame, AVPixelFormat format, bool is_picture);

/// Turns decoded pictures of any pixel format into uint8 RGB tensors. Respects colour matrix, range and
/// chroma position of each picture, with full chroma interpolation; what is transparent is seen on black, as
/// players show it. Used by one thread.
class RgbConverter {
 public:
  enum class Source {
    kVideo,
    kPicture,  // one that names no matrix is BT.601 as JFIF and WebP say; video goes by its size
    kLabels    // a picture whose values are ids, also where they are transparent
  };

  /// `url` is named in errors.
  explicit RgbConverter(std::string url, Source source = Source::kVideo)
      : url_(std::move(url)), source_(source) {}

  /// Returns [H, W, 3], upright. A picture of another size than height x width (as decoded, before turning)
  /// is scaled to it; 0 = its own size. Throws MediaError for a pixel format that cannot be read.
  at::Tensor convert(const AVFrame& frame, const Orientation& orientation, int height = 0, int width = 0);

 private:
  struct Key {
    int height, width, out_height, out_width, format, colorspace, range, chroma_location;
    bool operator==(const Key&) const = default;
  };
  void prepare(const AVFrame& frame, const Key& key);

  std::string url_;
  Source source_;
  Key key_ = {};
  AvScalerPtr scaler_;
  AvFramePtr rgb_;  // planes where the source is YUV, RGBA where it has alpha
  bool has_alpha_ = false;
};

}  // namespace hqtrack
