#pragma once

#include <ATen/core/Tensor.h>

#include "io/ffmpeg.h"
#include "io/nv12.h"

namespace hqtrack::testing {

/// A picture with every luma, and chroma that changes slowly, as FFmpeg and as the kernel see it.
struct DrawnNv12 {
  /// bits: 8 (NV12) or 10 (P010).
  DrawnNv12(int height, int width, int bits, AVColorSpace matrix, AVColorRange range,
            AVChromaLocation location = AVCHROMA_LOC_LEFT);

  AvFramePtr frame;
  Nv12Picture picture;  // borrows the frame's planes
  YuvToRgb formula;
};

/// By the formula, pixel by pixel: uint8 [H, W, 3].
at::Tensor rgb_of(const DrawnNv12& drawn);

}  // namespace hqtrack::testing
