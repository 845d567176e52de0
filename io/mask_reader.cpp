#include "io/mask_reader.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "core/error.h"
#include "io/davis_palette.h"
#include "io/picture.h"
#include "io/rgb_converter.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr const char* kExpected =
    ": expected a mask with palette indices, 8-bit grey values or DAVIS palette colours, found ";

at::Tensor copy_plane(const AVFrame& frame) {
  at::Tensor plane = at::empty({frame.height, frame.width}, at::kByte);
  uint8_t* target = plane.mutable_data_ptr<uint8_t>();
  for (int y = 0; y < frame.height; ++y, target += frame.width) {
    std::memcpy(target, frame.data[0] + int64_t{y} * frame.linesize[0], static_cast<size_t>(frame.width));
  }
  return plane;
}

at::Tensor first_channel(const at::Tensor& image) {
  at::Tensor plane = at::empty({image.size(0), image.size(1)}, at::kByte);
  const uint8_t* source = image.const_data_ptr<uint8_t>();
  uint8_t* target = plane.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < plane.numel(); ++i) target[i] = source[3 * i];
  return plane;
}

/// 0 and 255 only: one object.
at::Tensor binary_to_id(at::Tensor grey) {
  uint8_t* begin = grey.mutable_data_ptr<uint8_t>();
  uint8_t* end = begin + grey.numel();
  if (std::all_of(begin, end, [](uint8_t value) { return value == 0 || value == 255; })) {
    std::transform(begin, end, begin, [](uint8_t value) -> uint8_t { return value ? 1 : 0; });
  }
  return grey;
}

bool is_grey(const at::Tensor& image) {
  const uint8_t* pixel = image.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < image.numel(); i += 3) {
    if (pixel[i] != pixel[i + 1] || pixel[i] != pixel[i + 2]) return false;
  }
  return true;
}

at::Tensor ids_of_colours(const fs::path& file, const at::Tensor& image) {
  const int64_t width = image.size(1);
  at::Tensor mask = at::empty({image.size(0), width}, at::kByte);
  const uint8_t* pixel = image.const_data_ptr<uint8_t>();
  uint8_t* target = mask.mutable_data_ptr<uint8_t>();
  Rgb last;
  uint8_t last_id = 0;
  for (int64_t i = 0; i < mask.numel(); ++i, pixel += 3) {
    const Rgb colour{pixel[0], pixel[1], pixel[2]};
    if (colour != last) {
      const auto id = davis_id_of(colour);
      if (!id) {
        throw MediaError(file.string() + kExpected + "colour (" + std::to_string(colour.r) + ", " +
                         std::to_string(colour.g) + ", " + std::to_string(colour.b) + ") at x " +
                         std::to_string(i % width) + ", y " + std::to_string(i / width));
      }
      last = colour;
      last_id = *id;
    }
    target[i] = last_id;
  }
  return mask;
}

at::Tensor to_rgb(const fs::path& file, const Picture& picture, RgbConverter::Source source) {
  const int32_t* matrix = find_display_matrix(*picture.frame);
  RgbConverter converter(file.string(), source);
  return converter.convert(*picture.frame, matrix ? orientation_of(matrix) : Orientation{});
}

at::Tensor to_labels(const fs::path& file, const Picture& picture) {
  const auto format = static_cast<AVPixelFormat>(picture.frame->format);
  const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(format);
  if (picture.codec == AV_CODEC_ID_MJPEG)
    throw MediaError(file.string() + kExpected + "a JPEG, whose losses invent ids");
  if (descriptor->comp[0].depth > 8) {
    throw MediaError(file.string() + kExpected + std::to_string(descriptor->comp[0].depth) +
                     " bits a channel");
  }
  if (format == AV_PIX_FMT_PAL8) return copy_plane(*picture.frame);
  if (format == AV_PIX_FMT_GRAY8) return binary_to_id(copy_plane(*picture.frame));
  const at::Tensor image = to_rgb(file, picture, RgbConverter::Source::kLabels);
  return is_grey(image) ? binary_to_id(first_channel(image)) : ids_of_colours(file, image);
}

}  // namespace

at::Tensor read_image(const fs::path& file) {
  return to_rgb(file, decode_picture(file), RgbConverter::Source::kPicture);
}

at::Tensor read_label_mask(const fs::path& file) { return to_labels(file, decode_picture(file)); }

at::Tensor read_label_mask(std::span<const uint8_t> bytes, const std::string& name) {
  return to_labels(name, decode_picture(bytes, name));
}

}  // namespace hqtrack
