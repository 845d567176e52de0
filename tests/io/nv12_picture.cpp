#include "tests/io/nv12_picture.h"

#include <ATen/ops/empty.h>

#include <cmath>

#include "io/rgb_converter.h"

namespace hqtrack::testing {
namespace {

/// Plane by plane; `value` gives 8-bit samples with a fraction.
template <class Value>
void draw(AVFrame& frame, int plane, int height, int samples, int bits, Value value) {
  for (int y = 0; y < height; ++y) {
    uint8_t* row = frame.data[plane] + y * frame.linesize[plane];
    for (int i = 0; i < samples; ++i) {
      if (bits == 8) {
        row[i] = static_cast<uint8_t>(value(y, i));
      } else {
        reinterpret_cast<uint16_t*>(row)[i] = static_cast<uint16_t>(static_cast<int>(value(y, i) * 4) << 6);
      }
    }
  }
}

}  // namespace

DrawnNv12::DrawnNv12(int height, int width, int bits, AVColorSpace matrix, AVColorRange range,
                     AVChromaLocation location)
    : frame(make_frame()) {
  const AVPixelFormat format = bits == 8 ? AV_PIX_FMT_NV12 : AV_PIX_FMT_P010;
  frame->format = format;
  frame->height = height;
  frame->width = width;
  frame->colorspace = matrix;
  frame->color_range = range;
  frame->chroma_location = location;
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw std::bad_alloc();
  draw(*frame, 0, height, width, bits, [](int y, int x) { return (37 * x + 11 * y) % 256; });
  draw(*frame, 1, (height + 1) / 2, (width + 1) / 2 * 2, bits, [](int y, int i) {
    const double phase = i % 2 == 0 ? 0.07 * (i / 2) + 0.05 * y : 0.04 * (i / 2) - 0.06 * y;
    return 128 + 100 * std::sin(phase);
  });
  const Colours colours = colours_of(*frame, format, /*is_picture=*/false);
  picture = {.luma = frame->data[0],
             .chroma = frame->data[1],
             .luma_pitch = frame->linesize[0],
             .chroma_pitch = frame->linesize[1],
             .height = height,
             .width = width,
             .bits = bits,
             .chroma_x = static_cast<float>(colours.chroma_x) / 256.0F,
             .chroma_y = static_cast<float>(colours.chroma_y) / 256.0F};
  formula = yuv_to_rgb(colours.matrix, colours.is_full_range, bits);
}

at::Tensor rgb_of(const DrawnNv12& drawn) {
  const Nv12Picture& picture = drawn.picture;
  at::Tensor image = at::empty({picture.height, picture.width, 3}, at::kByte);
  uint8_t* rgb = image.mutable_data_ptr<uint8_t>();
  const auto pixel = picture.bits > 8 ? rgb_at<uint16_t> : rgb_at<uint8_t>;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x, rgb += 3) pixel(picture, drawn.formula, x, y, rgb);
  }
  return image;
}

}  // namespace hqtrack::testing
