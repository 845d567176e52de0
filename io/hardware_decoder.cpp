#include "io/hardware_decoder.h"

#include <array>
#include <utility>

#include "core/error.h"

extern "C" {
#include <libavutil/hwcontext.h>
}

namespace hqtrack {
namespace {

/// The device's pixel format, where the decoder can use it for this stream; FFmpeg asks again without it
/// where that turns out not to work.
AVPixelFormat choose_format(AVCodecContext* codec, const AVPixelFormat* offered) {
  const auto* const device = reinterpret_cast<const AVHWDeviceContext*>(codec->hw_device_ctx->data);
  for (int i = 0;; ++i) {
    const AVCodecHWConfig* const config = avcodec_get_hw_config(codec->codec, i);
    if (!config) break;
    if (config->device_type != device->type) continue;
    for (const AVPixelFormat* format = offered; *format != AV_PIX_FMT_NONE; ++format) {
      if (*format == config->pix_fmt) return *format;
    }
  }
  return avcodec_default_get_format(codec, offered);
}

AVBufferRef* open_device(AVHWDeviceType type) {
  AVBufferRef* device = nullptr;
  const LogWatch watch;  // what fails is told in other words
  return av_hwdevice_ctx_create(&device, type, nullptr, nullptr, 0) < 0 ? nullptr : device;
}

}  // namespace

HardwareDecoder::HardwareDecoder(VideoHardware wanted) {
  route_ffmpeg_log();
  for (const auto& [hardware, type] : {std::pair{VideoHardware::kCuda, AV_HWDEVICE_TYPE_CUDA},
                                       std::pair{VideoHardware::kVaapi, AV_HWDEVICE_TYPE_VAAPI}}) {
    if (device_ || (wanted != hardware && wanted != VideoHardware::kAuto)) continue;
    device_ = open_device(type);
    if (!device_ && wanted == hardware) {
      throw DeviceError(std::string("--hwaccel: expected a device for ") + av_hwdevice_get_type_name(type) +
                        ", found none");
    }
  }
}

HardwareDecoder::~HardwareDecoder() { av_buffer_unref(&device_); }

std::string HardwareDecoder::name() const {
  if (!device_) return {};
  return av_hwdevice_get_type_name(reinterpret_cast<const AVHWDeviceContext*>(device_->data)->type);
}

void HardwareDecoder::attach(AVCodecContext& codec) const {
  if (!device_) return;
  codec.hw_device_ctx = av_buffer_ref(device_);
  codec.get_format = choose_format;
}

AvFramePtr HardwareDecoder::download(AvFramePtr frame, const std::string& url) const {
  if (!frame->hw_frames_ctx) return frame;
  AvFramePtr copy = make_frame();
  if (const int result = av_hwframe_transfer_data(copy.get(), frame.get(), 0); result < 0) {
    throw MediaError(url + ": a picture cannot be read back from the device: " + av_error_text(result));
  }
  av_frame_copy_props(copy.get(), frame.get());
  return copy;
}

}  // namespace hqtrack
