#include "io/picture.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string_view>

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

AVCodecID codec_of(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\x89PNG\r\n\x1a\n"sv)) return AV_CODEC_ID_PNG;
  if (bytes.starts_with("\xff\xd8\xff"sv)) return AV_CODEC_ID_MJPEG;
  if (bytes.starts_with("RIFF"sv) && bytes.size() > 12 && bytes.substr(8, 4) == "WEBP"sv)
    return AV_CODEC_ID_WEBP;
  if (bytes.starts_with("BM"sv)) return AV_CODEC_ID_BMP;
  if (bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv)) return AV_CODEC_ID_TIFF;
  return AV_CODEC_ID_NONE;
}

/// The whole file, with the zeros behind it that decoders want.
AvPacketPtr read_packet(const fs::path& file) {
  std::error_code code;
  if (!fs::exists(file, code)) throw MediaError(file.string() + ": no such file");
  const auto size = fs::is_regular_file(file, code) ? fs::file_size(file, code) : 0;
  if (code || size == 0) throw MediaError(file.string() + ": expected a picture, found nothing in it");
  AvPacketPtr packet = make_packet();
  if (size > INT32_MAX / 2 || av_new_packet(packet.get(), static_cast<int>(size)) < 0) {
    throw MediaError(file.string() + ": expected a picture, found " + std::to_string(size) + " bytes");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream.read(reinterpret_cast<char*>(packet->data), static_cast<std::streamsize>(size))) {
    throw MediaError(file.string() + ": cannot be read: " + std::strerror(errno));
  }
  packet->flags |= AV_PKT_FLAG_KEY;
  return packet;
}

Picture decode_packet(const AvPacketPtr& packet, const std::string& name) {
  const std::string_view bytes(reinterpret_cast<const char*>(packet->data),
                               static_cast<size_t>(packet->size));
  const AVCodecID id = codec_of(bytes);
  const AVCodec* decoder = id == AV_CODEC_ID_NONE ? nullptr : avcodec_find_decoder(id);
  if (!decoder)
    throw MediaError(name + ": expected a PNG, JPEG, WebP, BMP or TIFF picture, found another kind of file");
  AvCodecPtr codec(avcodec_alloc_context3(decoder));
  codec->thread_count = 1;
  // The TIFF decoder calls every tag it has no use for an error.
  const bool is_strict = id != AV_CODEC_ID_TIFF;
  if (is_strict) codec->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
  Picture picture{.frame = make_frame(), .codec = id};
  LogWatch watch(codec.get());
  int result = avcodec_open2(codec.get(), decoder, nullptr);
  if (result >= 0) result = avcodec_send_packet(codec.get(), packet.get());
  if (result >= 0) result = avcodec_send_packet(codec.get(), nullptr);
  if (result >= 0) result = avcodec_receive_frame(codec.get(), picture.frame.get());
  // A picture decoded for its larger part is still a damaged one.
  const bool is_damaged = result < 0 || picture.frame->decode_error_flags ||
                          (picture.frame->flags & AV_FRAME_FLAG_CORRUPT) ||
                          (is_strict && !watch.first_error().empty());
  if (is_damaged) {
    const std::string reason = watch.first_error().empty() ? av_error_text(result) : watch.first_error();
    throw MediaError(name + ": damaged or truncated picture: " + reason);
  }
  return picture;
}

std::vector<uint8_t> encode(AVCodecID format, const fs::path& file, const AVFrame& frame) {
  route_ffmpeg_log();
  const std::string name = format == AV_CODEC_ID_PNG ? "PNG" : "JPEG";
  const auto check = [&](int result) {
    if (result < 0)
      throw OutputError(file.string() + ": " + name + " encoding failed: " + av_error_text(result));
  };
  const AVCodec* encoder = avcodec_find_encoder(format);
  if (!encoder) throw OutputError(file.string() + ": this FFmpeg has no " + name + " encoder");
  AvCodecPtr codec(avcodec_alloc_context3(encoder));
  codec->width = frame.width;
  codec->height = frame.height;
  codec->pix_fmt = static_cast<AVPixelFormat>(frame.format);
  codec->time_base = {1, 1};
  codec->thread_count = 1;
  if (format == AV_CODEC_ID_MJPEG) {
    codec->flags |= AV_CODEC_FLAG_QSCALE;
    codec->global_quality = frame.quality;
  }
  check(avcodec_open2(codec.get(), encoder, nullptr));
  check(avcodec_send_frame(codec.get(), &frame));
  check(avcodec_send_frame(codec.get(), nullptr));
  AvPacketPtr packet = make_packet();
  check(avcodec_receive_packet(codec.get(), packet.get()));
  return std::vector<uint8_t>(packet->data, packet->data + packet->size);
}

}  // namespace

bool has_picture_extension(const fs::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kKnown[] = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"};
  return std::find(std::begin(kKnown), std::end(kKnown), extension) != std::end(kKnown);
}

Picture decode_picture(const fs::path& file) {
  route_ffmpeg_log();
  return decode_packet(read_packet(file), file.string());
}

Picture decode_picture(std::span<const uint8_t> bytes, const std::string& name) {
  route_ffmpeg_log();
  AvPacketPtr packet = make_packet();
  if (bytes.empty() || bytes.size() > INT32_MAX / 2 ||
      av_new_packet(packet.get(), static_cast<int>(bytes.size())) < 0) {
    throw MediaError(name + ": expected a picture, found " + std::to_string(bytes.size()) + " bytes");
  }
  std::memcpy(packet->data, bytes.data(), bytes.size());
  packet->flags |= AV_PKT_FLAG_KEY;
  return decode_packet(packet, name);
}

std::vector<uint8_t> encode_png(const fs::path& file, const AVFrame& frame) {
  return encode(AV_CODEC_ID_PNG, file, frame);
}

std::vector<uint8_t> encode_jpeg(const fs::path& file, const AVFrame& frame) {
  return encode(AV_CODEC_ID_MJPEG, file, frame);
}

}  // namespace hqtrack
