#include "io/rgb_converter.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <opencv2/core.hpp>

#include "core/error.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace hqtrack {
namespace {

/// The deprecated "J" formats are full range by name.
AVPixelFormat plain_format(int format, bool& is_full_range) {
  is_full_range = true;
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    default:
      is_full_range = false;
      return static_cast<AVPixelFormat>(format);
  }
}

bool is_gray(AVPixelFormat format) {
  const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(format);
  return descriptor && descriptor->nb_components <= 2 &&
         !(descriptor->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

int scaler_matrix(int colorspace) {
  switch (colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return SWS_CS_ITU601;
  }
}

void set_chroma_position(SwsContext* scaler, AVPixelFormat format, const Colours& colours) {
  int log2_width = 0, log2_height = 0;
  if (av_pix_fmt_get_chroma_sub_sample(format, &log2_width, &log2_height) < 0) return;
  if (log2_width == 1) av_opt_set_int(scaler, "src_h_chr_pos", colours.chroma_x, 0);
  if (log2_height == 1) av_opt_set_int(scaler, "src_v_chr_pos", colours.chroma_y, 0);
}

bool has_alpha(AVPixelFormat format) {
  const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(format);
  return descriptor && ((descriptor->flags & AV_PIX_FMT_FLAG_ALPHA) || format == AV_PIX_FMT_PAL8);
}

// swscale writes planes from YUV several times as fast as RGB24.
bool is_yuv(AVPixelFormat format) {
  const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(format);
  return descriptor && descriptor->nb_components >= 3 && !(descriptor->flags & AV_PIX_FMT_FLAG_RGB);
}

cv::Mat on_black(const cv::Mat& rgba) {
  cv::Mat rgb(rgba.size(), CV_8UC3);
  for (int y = 0; y < rgba.rows; ++y) {
    const uint8_t* source = rgba.ptr<uint8_t>(y);
    uint8_t* target = rgb.ptr<uint8_t>(y);
    for (int x = 0; x < rgba.cols; ++x, source += 4, target += 3) {
      for (int c = 0; c < 3; ++c) target[c] = static_cast<uint8_t>((source[c] * source[3] + 127) / 255);
    }
  }
  return rgb;
}

cv::Mat turned(const cv::Mat& image, const Orientation& orientation, cv::Mat out) {
  cv::Mat transposed = image;
  if (orientation.is_transposed) {
    const bool is_last = !orientation.is_flipped_x && !orientation.is_flipped_y;
    if (is_last) transposed = out;
    cv::transpose(image, transposed);
    if (is_last) return out;
  }
  const int code = orientation.is_flipped_x && orientation.is_flipped_y ? -1
                   : orientation.is_flipped_x                           ? 1
                                                                        : 0;
  cv::flip(transposed, out, code);
  return out;
}

}  // namespace

int Orientation::rotation_degrees() const {
  if (is_transposed) return is_flipped_x || !is_flipped_y ? 90 : 270;
  return is_flipped_y ? 180 : 0;
}

Orientation orientation_of(const int32_t* m) {
  // A point goes to x' = m0 x + m3 y, y' = m1 x + m4 y; rows grow downwards.
  const double straight = std::abs(double(m[0])) + std::abs(double(m[4]));
  const double crossed = std::abs(double(m[1])) + std::abs(double(m[3]));
  if (crossed > straight) return {.is_transposed = true, .is_flipped_x = m[3] < 0, .is_flipped_y = m[1] < 0};
  return {.is_transposed = false, .is_flipped_x = m[0] < 0, .is_flipped_y = m[4] < 0};
}

const int32_t* find_display_matrix(const AVStream& stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  const AVPacketSideData* data = av_packet_side_data_get(
      stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return data && data->size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data->data) : nullptr;
#else
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data) : nullptr;
#endif
}

const int32_t* find_display_matrix(const AVFrame& frame) {
  const AVFrameSideData* data = av_frame_get_side_data(&frame, AV_FRAME_DATA_DISPLAYMATRIX);
  return data && data->size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data->data) : nullptr;
}

Colours colours_of(const AVFrame& frame, AVPixelFormat format, bool is_picture) {
  Colours colours;
  const AVPixelFormat plain = plain_format(format, colours.is_full_range);
  if (frame.color_range == AVCOL_RANGE_JPEG ||
      (frame.color_range == AVCOL_RANGE_UNSPECIFIED && is_gray(plain)))
    colours.is_full_range = true;
  int colorspace = frame.colorspace;
  if (colorspace == AVCOL_SPC_UNSPECIFIED || colorspace == AVCOL_SPC_RESERVED) {
    colorspace = is_picture ? AVCOL_SPC_SMPTE170M : guess_colour_matrix(frame.width, frame.height);
  }
  colours.matrix = sws_getCoefficients(scaler_matrix(colorspace));
  int location = frame.chroma_location;
  if (location == AVCHROMA_LOC_UNSPECIFIED) location = is_picture ? AVCHROMA_LOC_CENTER : AVCHROMA_LOC_LEFT;
  const bool is_left = location == AVCHROMA_LOC_LEFT || location == AVCHROMA_LOC_TOPLEFT ||
                       location == AVCHROMA_LOC_BOTTOMLEFT;
  const bool is_top = location == AVCHROMA_LOC_TOPLEFT || location == AVCHROMA_LOC_TOP;
  const bool is_bottom = location == AVCHROMA_LOC_BOTTOMLEFT || location == AVCHROMA_LOC_BOTTOM;
  colours.chroma_x = is_left ? 0 : 128;
  colours.chroma_y = is_top ? 0 : is_bottom ? 256 : 128;
  return colours;
}

void RgbConverter::prepare(const AVFrame& frame, const Key& key) {
  if (scaler_ && key == key_) return;
  const Colours colours =
      colours_of(frame, static_cast<AVPixelFormat>(frame.format), source_ != Source::kVideo);
  bool is_full_range = false;
  const AVPixelFormat format = plain_format(key.format, is_full_range);

  scaler_.reset(sws_alloc_context());
  SwsContext* scaler = scaler_.get();
  av_opt_set_int(scaler, "srcw", key.width, 0);
  av_opt_set_int(scaler, "srch", key.height, 0);
  av_opt_set_int(scaler, "src_format", format, 0);
  av_opt_set_int(scaler, "dstw", key.out_width, 0);
  av_opt_set_int(scaler, "dsth", key.out_height, 0);
  has_alpha_ = source_ != Source::kLabels && has_alpha(format);
  const AVPixelFormat rgb_format = has_alpha_       ? AV_PIX_FMT_RGBA
                                   : is_yuv(format) ? AV_PIX_FMT_GBRP
                                                    : AV_PIX_FMT_RGB24;
  av_opt_set_int(scaler, "dst_format", rgb_format, 0);
  av_opt_set_int(scaler, "sws_flags",
                 SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, 0);
  set_chroma_position(scaler, format, colours);
  // Before initialisation, so that no path is chosen for the wrong range.
  const auto set_colours = [&] {
    sws_setColorspaceDetails(scaler, colours.matrix, colours.is_full_range, colours.matrix, 1, 0, 1 << 16,
                             1 << 16);
  };
  set_colours();
  if (sws_init_context(scaler, nullptr, nullptr) < 0) {
    scaler_.reset();
    const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(key.format));
    throw MediaError(url_ + ": pixel format " + (name ? name : "unknown") + " cannot be turned into RGB");
  }
  set_colours();

  rgb_ = make_frame();
  rgb_->format = rgb_format;
  rgb_->width = key.out_width;
  rgb_->height = key.out_height;
  if (av_frame_get_buffer(rgb_.get(), 0) < 0) throw std::bad_alloc();
  key_ = key;
}

at::Tensor RgbConverter::convert(const AVFrame& frame, const Orientation& orientation, int height,
                                 int width) {
  const int out_height = height > 0 ? height : frame.height, out_width = width > 0 ? width : frame.width;
  prepare(frame, {frame.height, frame.width, out_height, out_width, frame.format, frame.colorspace,
                  frame.color_range, frame.chroma_location});
  sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, rgb_->data, rgb_->linesize);

  const bool is_transposed = orientation.is_transposed;
  const int64_t h = is_transposed ? out_width : out_height, w = is_transposed ? out_height : out_width;
  at::Tensor image = at::empty({h, w, 3}, at::kByte);
  cv::Mat target(static_cast<int>(h), static_cast<int>(w), CV_8UC3, image.mutable_data_ptr<uint8_t>());
  const auto plane = [&](int index, int type) {
    return cv::Mat(out_height, out_width, type, rgb_->data[index], rgb_->linesize[index]);
  };
  cv::Mat picture = orientation.is_identity() ? target : cv::Mat();
  if (rgb_->format == AV_PIX_FMT_GBRP) {
    cv::merge(std::array{plane(2, CV_8UC1), plane(0, CV_8UC1), plane(1, CV_8UC1)}, picture);
  } else if (has_alpha_) {
    on_black(plane(0, CV_8UC4)).copyTo(picture);
  } else {
    plane(0, CV_8UC3).copyTo(picture);
  }
  if (!orientation.is_identity()) turned(picture, orientation, target);
  return image;
}

}  // namespace hqtrack
