#include "io/rgba_picture.h"

#include <ATen/ops/empty.h>

#include "core/error.h"
#include "io/picture.h"

namespace hqtrack {
namespace {

/// The formats named after JPEG are ordinary ones with the full range of values.
AVPixelFormat without_jpeg_range(int format, bool& is_full_range) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      is_full_range = true;
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      is_full_range = true;
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      is_full_range = true;
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      is_full_range = true;
      return AV_PIX_FMT_YUV440P;
    default:
      return static_cast<AVPixelFormat>(format);
  }
}

}  // namespace

at::Tensor decode_rgba_picture(std::span<const uint8_t> bytes, const std::string& name) {
  const Picture picture = decode_picture(bytes, name);
  const AVFrame& frame = *picture.frame;
  bool is_full_range = frame.color_range == AVCOL_RANGE_JPEG;
  const AVPixelFormat format = without_jpeg_range(frame.format, is_full_range);
  const AvScalerPtr scaler(sws_getContext(frame.width, frame.height, format, frame.width, frame.height,
                                          AV_PIX_FMT_RGBA, SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr,
                                          nullptr));
  if (!scaler) throw MediaError(name + ": FFmpeg cannot convert its pixel format to RGBA");
  const int* matrix = sws_getCoefficients(SWS_CS_ITU601);  // still pictures, whatever their size
  sws_setColorspaceDetails(scaler.get(), matrix, is_full_range, matrix, 1, 0, 1 << 16, 1 << 16);
  at::Tensor rgba = at::empty({frame.height, frame.width, 4}, at::kByte);
  uint8_t* planes[4] = {rgba.mutable_data_ptr<uint8_t>(), nullptr, nullptr, nullptr};
  const int strides[4] = {4 * frame.width, 0, 0, 0};
  sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
  return rgba;
}

}  // namespace hqtrack
