#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "io/ffmpeg.h"
#include "io/frame_source.h"

namespace hqtrack {

/// A device that decodes in place of the processor, through FFmpeg: NVDEC (cuda) or VA-API. What it cannot
/// decode (codec, profile, size) FFmpeg decodes in software within the same stream, so that no picture is
/// lost.
class HardwareDecoder {
 public:
  /// wanted: kAuto takes the first device there is, or none. Throws DeviceError for one that is asked for by
  /// name and is not there.
  explicit HardwareDecoder(VideoHardware wanted);
  ~HardwareDecoder();
  HardwareDecoder(const HardwareDecoder&) = delete;
  HardwareDecoder& operator=(const HardwareDecoder&) = delete;

  /// "cuda", "vaapi"; empty: pictures are decoded in software.
  std::string name() const;

  /// Before the decoder is opened.
  void attach(AVCodecContext& codec) const;

  /// A picture in this machine's memory: as it is, or copied from the device with all that is known of it.
  /// In builds with CUDA its pictures become RGB there, but for interlaced ones; others stay what they are
  /// (NV12, P010 and the like). Throws MediaError naming `url`.
  AvFramePtr download(AvFramePtr frame, const std::string& url) const;

  /// The RGB (uint8 [H, W, 3]) that `download` has made of this picture on a GPU, where it stays as long as
  /// the frame or the tensor; undefined for any other picture.
  static at::Tensor rgb_on_gpu(const AVFrame& frame);

 private:
  AVBufferRef* device_ = nullptr;  // null: none
  bool is_shared_ = false;         // the device's memory is LibTorch's as well
};

}  // namespace hqtrack
