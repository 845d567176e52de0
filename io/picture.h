#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "io/ffmpeg.h"

namespace hqtrack {

/// A picture file as decoded, before any colour conversion.
struct Picture {
  AvFramePtr frame;
  AVCodecID codec = AV_CODEC_ID_NONE;
};

/// True for the file name extensions of still pictures that are read: png jpg jpeg webp bmp tif tiff.
bool has_picture_extension(const std::filesystem::path& file);

/// Decodes a PNG, JPEG, WebP, BMP or TIFF file; its kind is told by its first bytes. Throws MediaError naming
/// the file when it is not there, of another kind, damaged or cut off.
Picture decode_picture(const std::filesystem::path& file);
/// The same for a file's bytes, which messages call `name`.
Picture decode_picture(std::span<const uint8_t> bytes, const std::string& name);

/// Encodes as PNG. frame: PAL8, GRAY8, RGB24 or RGBA. Throws OutputError naming `file`, which is not written.
std::vector<uint8_t> encode_png(const std::filesystem::path& file, const AVFrame& frame);
/// Encodes as JPEG. frame: YUVJ420P, its `quality` set.
std::vector<uint8_t> encode_jpeg(const std::filesystem::path& file, const AVFrame& frame);

}  // namespace hqtrack
