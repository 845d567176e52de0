#include "io/hardware_decoder.h"

#include <array>
#include <memory>
#include <new>
#include <utility>

#include "core/error.h"

extern "C" {
#include <libavutil/hwcontext.h>
#include <libavutil/pixdesc.h>
}

#ifdef HQTRACK_WITH_CUDA
#include <ATen/Context.h>
#include <ATen/ops/from_blob.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include "io/deinterlacer.h"
#include "io/nv12.h"
#include "io/rgb_converter.h"

extern "C" {
#include <libavutil/hwcontext_cuda.h>
}
#endif

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

AVBufferRef* open_device(AVHWDeviceType type, int flags = 0) {
  AVBufferRef* device = nullptr;
  const LogWatch watch;  // what fails is told in other words
  return av_hwdevice_ctx_create(&device, type, nullptr, nullptr, flags) < 0 ? nullptr : device;
}

#ifdef HQTRACK_WITH_CUDA
/// In the context that LibTorch works in.
AVBufferRef* open_shared_device() {
  if (!at::globalContext().hasCUDA()) return nullptr;
  const c10::cuda::CUDAGuard on_first(0);
  // FFmpeg refuses a context that is in use with another way of waiting than its own.
  if (cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync) != cudaSuccess) cudaGetLastError();
  return open_device(AV_HWDEVICE_TYPE_CUDA, AV_CUDA_USE_PRIMARY_CONTEXT);
}

/// The frame, and all its copies, hold the tensor.
void keep(const at::Tensor& rgb, AVFrame& frame) {
  auto held = std::make_unique<at::Tensor>(rgb);
  const auto drop = [](void*, uint8_t* data) { delete reinterpret_cast<at::Tensor*>(data); };
  av_buffer_unref(&frame.opaque_ref);
  frame.opaque_ref = av_buffer_create(reinterpret_cast<uint8_t*>(held.get()), sizeof(at::Tensor), drop,
                                      nullptr, AV_BUFFER_FLAG_READONLY);
  if (!frame.opaque_ref) throw std::bad_alloc();
  held.release();
}

/// Null for a picture that is not NV12 or of its kind.
AvFramePtr download_rgb(const AVFrame& frame) {
  const AVPixelFormat format =
      reinterpret_cast<const AVHWFramesContext*>(frame.hw_frames_ctx->data)->sw_format;
  if (format != AV_PIX_FMT_NV12 && format != AV_PIX_FMT_P010 && format != AV_PIX_FMT_P016) return nullptr;
  const int bits = av_pix_fmt_desc_get(format)->comp[0].depth;
  const Colours colours = colours_of(frame, format, /*is_picture=*/false);
  const Nv12Picture picture{.luma = frame.data[0],
                            .chroma = frame.data[1],
                            .luma_pitch = frame.linesize[0],
                            .chroma_pitch = frame.linesize[1],
                            .height = frame.height,
                            .width = frame.width,
                            .bits = bits,
                            .chroma_x = static_cast<float>(colours.chroma_x) / 256.0F,
                            .chroma_y = static_cast<float>(colours.chroma_y) / 256.0F};
  const at::Tensor rgb = nv12_to_rgb_cuda(picture, yuv_to_rgb(colours.matrix, colours.is_full_range, bits));
  AvFramePtr copy = make_frame();
  copy->format = AV_PIX_FMT_RGB24;
  copy->height = frame.height;
  copy->width = frame.width;
  if (av_frame_get_buffer(copy.get(), /*align=*/1) < 0) throw std::bad_alloc();
  at::from_blob(copy->data[0], rgb.sizes(), {copy->linesize[0], 3, 1}, at::kByte).copy_(rgb);
  av_frame_copy_props(copy.get(), &frame);
  copy->colorspace = AVCOL_SPC_RGB;
  copy->color_range = AVCOL_RANGE_JPEG;
  keep(rgb, *copy);
  return copy;
}
#endif

}  // namespace

HardwareDecoder::HardwareDecoder(VideoHardware wanted) {
  route_ffmpeg_log();
  for (const auto& [hardware, type] : {std::pair{VideoHardware::kCuda, AV_HWDEVICE_TYPE_CUDA},
                                       std::pair{VideoHardware::kVaapi, AV_HWDEVICE_TYPE_VAAPI}}) {
    if (device_ || (wanted != hardware && wanted != VideoHardware::kAuto)) continue;
#ifdef HQTRACK_WITH_CUDA
    if (hardware == VideoHardware::kCuda) device_ = open_shared_device();
    is_shared_ = device_ != nullptr;
#endif
    if (!device_) device_ = open_device(type);
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
#ifdef HQTRACK_WITH_CUDA
  // Fields have to be put together before.
  AvFramePtr rgb = is_shared_ && !is_interlaced(*frame) ? download_rgb(*frame) : nullptr;
  if (rgb) return rgb;
#endif
  AvFramePtr copy = make_frame();
  if (const int result = av_hwframe_transfer_data(copy.get(), frame.get(), 0); result < 0) {
    throw MediaError(url + ": a picture cannot be read back from the device: " + av_error_text(result));
  }
  av_frame_copy_props(copy.get(), frame.get());
  return copy;
}

at::Tensor HardwareDecoder::rgb_on_gpu(const AVFrame& frame) {
#ifdef HQTRACK_WITH_CUDA
  if (frame.opaque_ref) return *reinterpret_cast<const at::Tensor*>(frame.opaque_ref->data);
#endif
  return {};
}

}  // namespace hqtrack
