#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace hqtrack {

/// Reads a PNG, JPEG, WebP, BMP or TIFF picture as uint8 RGB [H, W, 3], upright. Throws MediaError.
at::Tensor read_image(const std::filesystem::path& file);

/// Reads a label mask:
/// - palette picture: the index is the id;
/// - 8-bit grey, or RGB(A) whose pixels are all grey: the value is the id, except that a picture of 0 and 255
/// only is a
///   binary mask and its object has id 1; 1-bit pictures are binary masks too;
/// - RGB(A) in colours of the DAVIS palette: the id of each colour.
/// Alpha is ignored. Refused: 16-bit pictures, other colours, JPEG (its losses invent ids).
/// Returns uint8 [H, W], contiguous. Throws MediaError naming the file, expected and found.
at::Tensor read_label_mask(const std::filesystem::path& file);
/// The same for a file's bytes, which messages call `name`.
at::Tensor read_label_mask(std::span<const uint8_t> bytes, const std::string& name);

/// Writes a label mask as a palette PNG (index = id, DAVIS palette). Atomic. Throws OutputError.
void write_label_mask(const std::filesystem::path& file, const at::Tensor& label_mask);
/// The bytes of that file.
std::vector<uint8_t> encode_label_mask(const at::Tensor& label_mask);

/// Writes uint8 RGB [H, W, 3] or RGBA [H, W, 4] as PNG. Atomic. Throws OutputError.
void write_image(const std::filesystem::path& file, const at::Tensor& image);

/// uint8 RGB [H, W, 3] as the bytes of a JPEG, made smaller where an edge is longer than `longest_edge`.
/// Throws OutputError.
std::vector<uint8_t> encode_jpeg(const at::Tensor& image, int64_t longest_edge);

}  // namespace hqtrack
