#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

namespace hqtrack {

/// Decodes the bytes of a picture file with its transparency: uint8 RGBA [H, W, 4], colours not multiplied by
/// alpha; alpha is 255 where the picture has none. `name` is what a message calls it. Throws MediaError when
/// the bytes are no PNG, JPEG, WebP, BMP or TIFF picture or are damaged.
at::Tensor decode_rgba_picture(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace hqtrack
