#include "io/media_info.h"

extern "C" {
#include <libavutil/avutil.h>
#include <libavutil/buffer.h>
#include <libavutil/hwcontext.h>
}

#include "io/ffmpeg.h"

namespace hqtrack {
namespace {

std::string version_text(unsigned version) {
  return std::to_string(AV_VERSION_MAJOR(version)) + "." + std::to_string(AV_VERSION_MINOR(version)) + "." +
         std::to_string(AV_VERSION_MICRO(version));
}

bool is_device_usable(AVHWDeviceType type) {
  AVBufferRef* device = nullptr;
  const int code = av_hwdevice_ctx_create(&device, type, nullptr, nullptr, 0);
  av_buffer_unref(&device);
  return code >= 0;
}

}  // namespace

MediaInfo media_info() {
  route_ffmpeg_log();
  MediaInfo info;
  info.version = av_version_info();
  info.libraries = {{"libavformat", version_text(avformat_version())},
                    {"libavcodec", version_text(avcodec_version())},
                    {"libavfilter", version_text(avfilter_version())},
                    {"libavutil", version_text(avutil_version())},
                    {"libswscale", version_text(swscale_version())},
                    {"libswresample", version_text(swresample_version())}};
  for (auto type = AV_HWDEVICE_TYPE_NONE;
       (type = av_hwdevice_iterate_types(type)) != AV_HWDEVICE_TYPE_NONE;) {
    info.devices.push_back({av_hwdevice_get_type_name(type), is_device_usable(type)});
  }
  void* position = nullptr;
  while (const AVCodec* codec = av_codec_iterate(&position)) {
    const bool is_hardware = (codec->capabilities & AV_CODEC_CAP_HARDWARE) != 0;
    if (!is_hardware || codec->type != AVMEDIA_TYPE_VIDEO) continue;
    (av_codec_is_encoder(codec) ? info.hardware_encoders : info.hardware_decoders).push_back(codec->name);
  }
  return info;
}

}  // namespace hqtrack
